#!/usr/bin/env python
"""Train PPO on LLMRouter-v0 or BudgetRouter-v0; write the learning curve, checkpoints and the model."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.envs.train_stage import train_ppo

if __name__ == "__main__":
    # Flags of RL scripts are often written with hyphens: --total-timesteps is --total_timesteps here.
    words = [
        re.sub(r"(?<=\w)-(?=\w)", "_", w.split("=")[0]) + w[len(w.split("=")[0]) :] if w[:2] == "--" else w
        for w in sys.argv[1:]
    ]
    sys.exit(cli.run(train_ppo, words))
