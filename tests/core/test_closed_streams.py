"""Services have no terminal: a standard stream that is closed costs nobody a result."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLOSED = [some for n in (1, 2, 3) for some in itertools.combinations((0, 1, 2), n)]

STAGE = """
import sys
from dacr.core import cli, files

def stage(*, out: str) -> None:
    "Say something everywhere, and write a file."
    print("told")
    print("told", file=sys.stderr)
    files.write_text(out, "whole")

sys.exit(cli.run(stage))
"""


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_a_stage_runs_whatever_is_closed(closed: tuple[int, ...], tmp_path: Path) -> None:
    out = tmp_path / "out.txt"

    def close() -> None:
        for number in closed:
            os.close(number)

    command = [sys.executable, "-c", STAGE, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, preexec_fn=close, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.read_text(encoding="utf-8") == "whole", "nothing that was printed is in it"
    assert (done.stdout == "told\n") == (1 not in closed)
