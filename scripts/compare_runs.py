#!/usr/bin/env python
"""Compare two results folders: what differed, and paired differences where queries match."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
