#!/usr/bin/env python
"""Report what the rule router and the fallback chain do on recorded outcomes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.core import cli
from dacr.experiment.systems import replay_systems

if __name__ == "__main__":
    sys.exit(cli.run(replay_systems))
