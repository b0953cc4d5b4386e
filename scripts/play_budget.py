#!/usr/bin/env python
"""Play BudgetRouter-v0 with one policy: heuristic, oracle, an LLM, PPO, or any router of the project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.envs.play_stage import play_budget

if __name__ == "__main__":
    sys.exit(cli.run(play_budget))
