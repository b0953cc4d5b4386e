#!/usr/bin/env python
"""Measure the latency of real endpoints at a stream's arrival times; crash-safe, resumable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
