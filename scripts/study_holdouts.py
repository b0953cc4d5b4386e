#!/usr/bin/env python
"""Hold out each family of domains in turn and compare routers there, by area and under enforced budgets."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
