#!/usr/bin/env python
"""Score decisions that were made elsewhere: quality, cost, area, paired intervals, calibration, audit."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
