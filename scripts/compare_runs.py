#!/usr/bin/env python
"""Compare two results folders: what differed, and paired differences where queries match."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.compare import compare_runs

if __name__ == "__main__":
    sys.exit(cli.run(compare_runs, positional=True))
