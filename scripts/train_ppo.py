#!/usr/bin/env python
"""Train PPO on LLMRouter-v0 or BudgetRouter-v0; write the learning curve, checkpoints and the model."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.envs.ppo import train_ppo

if __name__ == "__main__":
    sys.exit(cli.run(train_ppo))
