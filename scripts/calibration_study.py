#!/usr/bin/env python
"""Compare all calibrators, offline and online, in distribution and on held-out domains."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
