#!/usr/bin/env python
"""Draw the figures and write the tables of a results folder."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
