#!/usr/bin/env python
"""Simulate the latency of every model on every query of the stream."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
