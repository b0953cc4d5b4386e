#!/usr/bin/env python
"""Report what the rule router and the fallback chain do on recorded outcomes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
