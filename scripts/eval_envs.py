#!/usr/bin/env python
"""Evaluate all policies in both environments: paired statistics, tables and figures."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
