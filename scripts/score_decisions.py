#!/usr/bin/env python
"""Score decisions that were made elsewhere: quality, cost, area, paired intervals, calibration, audit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.scoring.score import score_decisions

if __name__ == "__main__":
    sys.exit(cli.run(score_decisions))
