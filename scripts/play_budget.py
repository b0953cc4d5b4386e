#!/usr/bin/env python
"""Play BudgetRouter-v0 with one policy: heuristic, oracle, an LLM, PPO, or any router of the project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
