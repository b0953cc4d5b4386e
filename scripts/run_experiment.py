#!/usr/bin/env python
"""Run routers against baselines on a benchmark; write metrics, calibration tables and every decision."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
