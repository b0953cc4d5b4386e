#!/usr/bin/env python
"""Judge fixed policies from a learner's log, with error and coverage against the recorded truth."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.off_policy import evaluate_policies

if __name__ == "__main__":
    sys.exit(cli.run(evaluate_policies))
