#!/usr/bin/env python
"""Measure the latency of real endpoints at a stream's arrival times; crash-safe, resumable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.live.collect import collect_latency

if __name__ == "__main__":
    # --config is the catalogue here, not a file of flags.
    sys.exit(cli.run(collect_latency, config_flag=None))
