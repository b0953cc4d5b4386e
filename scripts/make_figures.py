#!/usr/bin/env python
"""Draw the figures and write the tables of a results folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.report.make import make_figures

if __name__ == "__main__":
    sys.exit(cli.run(make_figures))
