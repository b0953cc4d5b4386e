#!/usr/bin/env python
"""Give each query of a stream a coarse domain label, by a model or by an offline classifier."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
