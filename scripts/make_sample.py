#!/usr/bin/env python
"""Write the embedded benchmark as files in RouterBench's three schemas and as a long table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.data.sample.schemas import write_files

if __name__ == "__main__":
    sys.exit(cli.run(write_files))
