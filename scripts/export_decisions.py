#!/usr/bin/env python
"""Write the decisions of a results folder in the form that scripts/score_decisions.py reads, or in RouterArena's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.scoring.export import export_decisions

if __name__ == "__main__":
    sys.exit(cli.run(export_decisions))
