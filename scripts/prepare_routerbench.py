#!/usr/bin/env python
"""Bring a routing benchmark in: from the Hugging Face Hub, a local file, or generated."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.data.prepare import prepare_routerbench

if __name__ == "__main__":
    sys.exit(cli.run(prepare_routerbench))
