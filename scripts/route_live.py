#!/usr/bin/env python
"""Route live requests: one prompt, a stream, or a server that OpenAI clients can use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script

if __name__ == "__main__":
    sys.exit(script(__file__))
