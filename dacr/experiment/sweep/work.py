"""What a worker does: one cell, from the table to its results folder. The same bytes in whatever process it is done."""

from __future__ import annotations

import functools
import json
import threading
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib

from dacr.core import registry, swap
from dacr.core.errors import UserError
from dacr.data.table import RoutingTable, load
from dacr.experiment.run import conduct
from dacr.experiment.sweep.cell import Cell, cell_code
from dacr.experiment.sweep.source import local_copy


@dataclass(frozen=True)
class Task:
    """A cell and where to work: what is sent to a worker. The table is not in it.

    Attributes
    ----------
    data : str
        Path or URL of the table, as workers reach it.
    target : Path
        Its results folder, on storage that driver and workers share.
    code : str
        The driver's :func:`cell_code`.
    """

    cell: Cell
    data: str
    target: Path
    code: str
    use_cache: bool = True

    @property
    def manifest(self) -> dict[str, Any]:
        """What the folder says of itself, beside its files."""
        return self.cell.manifest(self.code)

    @property
    def finished(self) -> bool:
        """Whether the folder is whole, and of this very cell."""
        return manifest_of(self.target) == self.manifest


@dataclass(frozen=True)
class Outcome:
    """What became of a task: ``error`` is empty where the folder was written, else one line."""

    name: str
    error: str = ""
    details: str = ""


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a results folder all of whose files are there, without their names; else None."""
    swap.settle(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size for name in manifest.pop("files"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if whole else None


def run_task(name: str, task: Task) -> Outcome:
    """Conduct a cell; whatever goes wrong is told, not raised."""
    try:
        if cell_code() != task.code:
            raise UserError(f"this worker has code {cell_code()}, the driver {task.code}; give both the same")
        # A worker with several threads would share the limit on them: it runs one cell at a time. And cells make no
        # tasks of their own: Dask would hand them to other workers, each of which waits for its own.
        with _ONE_AT_A_TIME, joblib.parallel_config("sequential"):
            _run(task)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Outcome(name, " ".join(reason.split()) or type(error).__name__, traceback.format_exc())
    return Outcome(name)


def _run(task: Task) -> None:
    cell = task.cell
    if cell.settings.plugin is not None:
        registry.load_plugin(cell.settings.plugin)
    path = local_copy(task.data, cell.inputs["data"])
    settings = replace(cell.settings, data=path, results_dir=task.target, n_jobs=1, no_cache=not task.use_cache)
    conduct(settings, cell.manner, table=_table(path, cell.inputs["data"]), about=task.manifest)


@functools.lru_cache(maxsize=1)
def _table(path: Path, _sum: str) -> RoutingTable:
    """Return the table, kept in this process: most cells ask for the same one."""
    return load(path, incomplete=True)


_ONE_AT_A_TIME = threading.Lock()
