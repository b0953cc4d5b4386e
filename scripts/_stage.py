"""What all scripts here do: run the stage that the commands of ``dacr`` name for them, from a checkout too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dacr.__main__ import script


def run(path: str) -> None:
    """Run the stage of a file in this folder, and end with its exit code."""
    sys.exit(script(path))
