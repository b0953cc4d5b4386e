#!/usr/bin/env python
"""Check this installation and these data against published numbers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.verify.stage import verify

if __name__ == "__main__":
    sys.exit(cli.run(verify))
