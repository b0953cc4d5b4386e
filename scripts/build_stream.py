#!/usr/bin/env python
"""Write the timestamped stream of queries: which query arrives when, and under which load."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
