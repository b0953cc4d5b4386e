#!/usr/bin/env python
"""Compare all calibrators, offline and online, in distribution and on held-out domains."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.studies.calibration import calibration_study

if __name__ == "__main__":
    sys.exit(cli.run(calibration_study))
