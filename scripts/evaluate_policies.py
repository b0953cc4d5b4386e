#!/usr/bin/env python
"""Judge fixed policies from a log: a learner's, beside the recorded truth, or one that was made elsewhere."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
