#!/usr/bin/env python
"""Run routers against baselines on a benchmark; write metrics, calibration tables and every decision."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
