#!/usr/bin/env python
"""Hold out each family of domains in turn and compare routers there, by area and under enforced budgets."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr.core import cli
from dacr.experiment.studies.holdouts import study_holdouts

if __name__ == "__main__":
    sys.exit(cli.run(study_holdouts))
