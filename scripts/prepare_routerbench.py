#!/usr/bin/env python
"""Bring a routing benchmark in: from the Hugging Face Hub, a local file, or generated."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
