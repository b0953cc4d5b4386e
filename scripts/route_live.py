#!/usr/bin/env python
"""Route live requests: one prompt, a stream, or a server that OpenAI clients can use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.live.route import route_live

if __name__ == "__main__":
    # --config is the catalogue here, not a file of flags.
    sys.exit(cli.run(route_live, config_flag=None))
