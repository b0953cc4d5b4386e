#!/usr/bin/env python
"""Train PPO on LLMRouter-v0 or BudgetRouter-v0; write the learning curve, checkpoints and the model."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
