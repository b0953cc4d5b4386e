#!/usr/bin/env python
"""Evaluate all policies in both environments: paired statistics, tables and figures."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
