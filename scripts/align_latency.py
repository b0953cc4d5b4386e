#!/usr/bin/env python
"""Rename the models of a measured latency log to the benchmark's; say what does not join, and why."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.live.catalogue import align_latency

if __name__ == "__main__":
    # --config is the catalogue here, not a file of flags.
    sys.exit(cli.run(align_latency, config_flag=None))
