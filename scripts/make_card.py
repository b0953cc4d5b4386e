#!/usr/bin/env python
"""Write a card for a results folder or a prepared table."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
