#!/usr/bin/env python
"""Rename the models of a measured latency log to the benchmark's; say what does not join, and why."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
