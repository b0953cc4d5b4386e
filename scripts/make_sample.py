#!/usr/bin/env python
"""Write the embedded benchmark as files in RouterBench's three schemas and as a long table."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
