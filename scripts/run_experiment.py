#!/usr/bin/env python
"""Run routers against baselines on a benchmark; write metrics, calibration tables and every decision."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.run import list_parts, run_experiment
from dacr.experiment.settings import ExperimentSettings

if __name__ == "__main__":
    sys.exit(cli.run(run_experiment, settings_class=ExperimentSettings, commands={"list": list_parts}))
