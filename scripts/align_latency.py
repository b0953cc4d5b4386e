#!/usr/bin/env python
"""Rename the models of a measured latency log to the benchmark's; say what does not join, and why."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
