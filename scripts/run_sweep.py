#!/usr/bin/env python
"""Run a grid of experiments, on this machine or a cluster; a restart does what is left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.sweep.driver import run_sweep

if __name__ == "__main__":
    sys.exit(cli.run(run_sweep, config_flag=None))
