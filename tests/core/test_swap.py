"""Results are as they were, or all new: whatever kills a run, and whenever."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dacr.core import files as core_files
from dacr.core import swap
from dacr.core.errors import UserError
from dacr.experiment.studies.holdouts import WRITTEN

OWNED = ("manifest.json", "metrics.csv", "duals.csv", "decisions.parquet", "figures", "report.html")
OLD = {"manifest.json": "old", "metrics.csv": "old", "duals.csv": "old", "figures/a.png": "old", "report.html": "old"}
NEW = {"manifest.json": "new", "metrics.csv": "new", "decisions.parquet": "new"}
KEPT = {"notes.txt": "mine"}

WRITER = """
import os, signal, sys
from pathlib import Path
from dacr.core import files as core_files
from dacr.core import swap

folder, last = Path(sys.argv[1]), int(sys.argv[2])
seen = 0

def kill(event, args):
    # Told before the file system is: a real kill -9 between two changes of the folder.
    global seen
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") and str(folder) in str(args[0]):
        seen += 1
        if seen > last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
with swap.replace_files(folder, OWNED) as fresh:
    for name, text in NEW.items():
        (fresh / name).write_text(text)
"""


def write_old(folder: Path) -> None:
    for name, text in (OLD | KEPT).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(folder: Path, last: int = 10**6) -> int:
    """Write the new files in another process, which dies before the change number ``last + 1``."""
    code = f"OWNED, NEW = {OWNED!r}, {NEW!r}\n" + textwrap.dedent(WRITER)
    return subprocess.run([sys.executable, "-c", code, str(folder), str(last)]).returncode


def files(folder: Path, hidden: bool = False) -> dict[str, str]:
    """Return the text of every file by its path; those in hidden folders on request."""
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in found.items() if hidden or not name.startswith(".")}


def test_a_kill_at_any_moment_leaves_the_old_files_or_leads_to_the_new_ones(tmp_path: Path) -> None:
    outcomes = []
    for last in range(100):
        folder = tmp_path / str(last)
        write_old(folder)
        code = run(folder, last)
        if "manifest.json" in files(folder):
            assert files(folder) in (OLD | KEPT, NEW | KEPT), "with a manifest nothing is mixed"
        core_files.existing_folder(folder)
        found = files(folder)
        assert found in (OLD | KEPT, NEW | KEPT)
        outcomes.append(found == NEW | KEPT)
        assert run(folder) == 0
        assert files(folder, hidden=True) == NEW | KEPT
        assert not list(folder.glob(".*")), "what the killed run left is swept up"
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert outcomes == sorted(outcomes) and len(outcomes) > 8 and not outcomes[0] and outcomes[-1]


def test_an_error_leaves_the_old_files(tmp_path: Path) -> None:
    write_old(tmp_path)
    with pytest.raises(RuntimeError), swap.replace_files(tmp_path, OWNED) as fresh:
        (fresh / "metrics.csv").write_text("half")
        raise RuntimeError
    assert files(tmp_path, hidden=True) == OLD | KEPT and not list(tmp_path.glob(".*"))


def test_what_is_written_must_be_owned(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without being owned"), swap.replace_files(tmp_path, OWNED) as fresh:
        (fresh / "other.csv").write_text("never replaced")
    assert not list(tmp_path.iterdir())


def test_two_writers_leave_each_other_alone(tmp_path: Path) -> None:
    with swap.replace_files(tmp_path, OWNED) as first:
        (first / "metrics.csv").write_text("first")
        with swap.replace_files(tmp_path, OWNED) as second:
            (second / "metrics.csv").write_text("second")
        assert files(tmp_path) == {"metrics.csv": "second"}
    assert files(tmp_path, hidden=True) == {"metrics.csv": "first"}


def test_a_folder_in_the_place_of_a_file_gives_way(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv" / "inner").mkdir(parents=True)
    with swap.replace_files(tmp_path, OWNED) as fresh:
        (fresh / "metrics.csv").write_text("new")
    assert files(tmp_path) == {"metrics.csv": "new"}


def test_a_swap_that_a_reader_cannot_finish_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(swap, "settle", refused)
    with pytest.raises(UserError, match=r"can't finish that \(Permission denied\).*run X again"):
        core_files.existing_folder(tmp_path, made_by="X")


def test_tables_of_an_earlier_study_do_not_stay_beside_new_ones() -> None:
    assert {"choices.csv", "controls.csv", "holdouts.md", "manifest.json"} <= set(WRITTEN)
