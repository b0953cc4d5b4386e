#!/usr/bin/env python
"""Give each query of a stream a coarse domain label, by a model or by an offline classifier."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
