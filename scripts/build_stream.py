#!/usr/bin/env python
"""Write the timestamped stream of queries: which query arrives when, and under which load."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.workload.stream import build_stream

if __name__ == "__main__":
    sys.exit(cli.run(build_stream))
