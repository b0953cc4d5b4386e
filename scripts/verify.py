#!/usr/bin/env python
"""Check this installation and these data against published numbers."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
