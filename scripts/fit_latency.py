#!/usr/bin/env python
"""Fit the latency profiles of configs/latency.yaml to measured requests."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
