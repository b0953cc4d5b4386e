#!/usr/bin/env python
"""Train PPO on LLMRouter-v0 or BudgetRouter-v0; write the learning curve, checkpoints and the model."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
