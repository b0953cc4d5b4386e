#!/usr/bin/env python
"""Judge fixed policies from a log: a learner's, beside the recorded truth, or one that was made elsewhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.off_policy.stage import evaluate_policies

if __name__ == "__main__":
    sys.exit(cli.run(evaluate_policies))
