#!/usr/bin/env python
"""Write the decisions of a results folder in the form that scripts/score_decisions.py reads, or in RouterArena's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
