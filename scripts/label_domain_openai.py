#!/usr/bin/env python
"""Give each query of a stream a coarse domain label, by a model or by an offline classifier."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.live.labelling import label_domain

if __name__ == "__main__":
    # --config is the catalogue here, not a file of flags.
    sys.exit(cli.run(label_domain, config_flag=None))
