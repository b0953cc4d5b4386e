#!/usr/bin/env python
"""Bring a routing benchmark in: from the Hugging Face Hub, a local file, or generated."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
