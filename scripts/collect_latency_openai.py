#!/usr/bin/env python
"""Measure the latency of real endpoints at a stream's arrival times; crash-safe, resumable."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
