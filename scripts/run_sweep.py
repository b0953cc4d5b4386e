#!/usr/bin/env python
"""Run a grid of experiments, on this machine or a cluster; a restart does what is left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
