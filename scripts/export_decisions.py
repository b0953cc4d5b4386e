#!/usr/bin/env python
"""Write the decisions of a results folder in the form that scripts/score_decisions.py reads, or in RouterArena's."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
