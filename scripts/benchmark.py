#!/usr/bin/env python
"""Measure what the pipeline costs over sizes: stage times, peak memory, growth exponents, decisions per second."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.benchmark.run import benchmark

if __name__ == "__main__":
    sys.exit(cli.run(benchmark))
