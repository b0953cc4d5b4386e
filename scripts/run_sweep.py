#!/usr/bin/env python
"""Run a grid of experiments, on this machine or a cluster; a restart does what is left."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
