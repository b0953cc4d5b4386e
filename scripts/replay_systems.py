#!/usr/bin/env python
"""Report what the rule router and the fallback chain do on recorded outcomes."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
