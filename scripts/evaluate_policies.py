#!/usr/bin/env python
"""Judge fixed policies from a log: a learner's, beside the recorded truth, or one that was made elsewhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
