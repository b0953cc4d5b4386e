#!/usr/bin/env python
"""Play BudgetRouter-v0 with one policy: heuristic, oracle, an LLM, PPO, or any router of the project."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
