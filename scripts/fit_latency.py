#!/usr/bin/env python
"""Fit the latency profiles of configs/latency.yaml to measured requests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.workload.latency_fit import fit_latency

if __name__ == "__main__":
    sys.exit(cli.run(fit_latency))
