#!/usr/bin/env python
"""Write a card for a results folder or a prepared table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.report.card import make_card

if __name__ == "__main__":
    sys.exit(cli.run(make_card))
