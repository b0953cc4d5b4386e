"""The folder of a grid: whose it is, which cells are finished, and who works in it."""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.experiment.sweep.cell import Outcome, Task, manifest_of
from dacr.experiment.sweep.grid import SweepPlan

SWEEP = "sweep.json"
FAILURES = "failures.csv"
CELLS = "cells"
Stale = Literal["refuse", "rerun", "keep"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder while a sweep runs in it: two drivers would each do the same cells."""
    with open(files.make_folder(folder) / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is at work in {folder}; wait for it or name another --results_dir") from None
        except OSError:
            pass  # A file system without locks: nothing is lost, since both would write the same bytes.
        yield


def claim(folder: Path, plan: SweepPlan) -> None:
    """Write whose grid the folder is; refuse a folder of another grid.

    Raises
    ------
    UserError
        The folder was made from other cells, or holds cells of nobody knows what.
    """
    path = folder / SWEEP
    mine = {name: {"config": cell.config, "inputs": dict(cell.inputs)} for name, cell in plan.cells.items()}
    mine = json.loads(json.dumps(mine))
    if not path.is_file():
        if any((folder / CELLS).glob("*/manifest.json")):
            raise UserError(
                f"{folder} holds cells but no {SWEEP}, so that their grid is unknown; name another --results_dir"
            )
        files.write_json(path, {"stage": "sweep", "cells": mine})
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))["cells"]
        other = {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} can't be read; put it back or name another --results_dir") from None
    if other:
        both = len(mine.keys() & theirs.keys() - other)
        raise UserError(
            f"{folder} was made from another grid or other input files: {len(theirs)} cells there, {len(mine)} asked "
            f"for, {both} in both, first that differs: {min(other)}; name another --results_dir"
        )


def finished(tasks: Mapping[str, Task], stale: Stale, folder: Path) -> set[str]:
    """Return the cells that need not be run: readable, and of this very cell.

    Parameters
    ----------
    stale : {"refuse", "rerun", "keep"}
        What to do with cells that other code finished.
    """
    done = {name for name, task in tasks.items() if task.finished}
    old = {}
    for name, task in tasks.items():
        manifest = manifest_of(task.target) if name not in done else None
        if manifest and {**manifest, "code": ""} == {**task.manifest, "code": ""}:
            old[name] = str(manifest.get("code"))
    if old and stale == "refuse":
        code = next(iter(tasks.values())).code
        raise UserError(
            f"{folder}: {len(old)} cells were finished by other code ({', '.join(sorted(set(old.values())))}; this is "
            f"{code}); --stale rerun does them again, --stale keep keeps them, or name another --results_dir"
        )
    return done | set(old) if stale == "keep" else done


def write_failures(folder: Path, failed: Sequence[Outcome]) -> None:
    """Write which cells failed and why; remove the file where none did."""
    path = folder / FAILURES
    if not failed:
        path.unlink(missing_ok=True)
        return
    rows: list[dict[str, Any]] = [
        {"cell": one.name, "reason": one.error, "details": one.details} for one in sorted(failed, key=lambda o: o.name)
    ]
    with files.atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
