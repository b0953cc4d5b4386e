#!/usr/bin/env python
"""Simulate the latency of every model on every query of the stream."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.workload.simulate import simulate_latency

if __name__ == "__main__":
    sys.exit(cli.run(simulate_latency))
