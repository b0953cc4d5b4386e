"""A cell, one experiment of a grid or some of its routers: what it is known by, and what a worker does of it."""

import functools
import hashlib
import json
import re
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import joblib

from dacr.core import registry, swap
from dacr.core.cache import code_version
from dacr.core.errors import UserError
from dacr.data.table import RoutingTable, load
from dacr.experiment.manner import Manner
from dacr.experiment.run import conduct
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.source import local_copy

FILES = ("data", "stream", "latency_log", "features", "plugin", "domain_labels", "config_latency")
"""Settings that name a file: a cell is known by its checksum, not by where it lies."""

ELSEWHERE = ("results_dir", "save_router", "no_cache", "n_jobs", "draw", "draw_routers", "track")
"""Settings that change no number."""

NOT_IN_A_CELL = ("report", "live", "envs", "experiment/verify", "experiment/studies")
"""Packages that no cell imports: a change to a figure makes no cell old."""


@dataclass(frozen=True)
class Cell:
    """An experiment that can be conducted anywhere.

    Attributes
    ----------
    settings : ExperimentSettings
        Where its files lie is no part of what it is.
    inputs : dict
        Role -> SHA-256 of each file that the settings name.
    manner : Manner
    """

    settings: ExperimentSettings
    inputs: Mapping[str, str]
    manner: Manner = Manner(compared=True)  # noqa: RUF009 - immutable

    @classmethod
    def of(cls, settings: ExperimentSettings, sums: Mapping[str, str], manner: Manner) -> Self:
        """Return the cell of an experiment, given the checksum of every file by its path."""
        named = {role: getattr(settings, role) for role in FILES}
        return cls(settings, {role: sums[str(path)] for role, path in named.items() if path is not None}, manner)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every setting that bears on the numbers, defaults included."""
        plain = {name: value for name, value in asdict(self.settings).items() if name not in (*FILES, *ELSEWHERE)}
        return json.loads(json.dumps(plain))

    @cached_property
    def name(self) -> str:
        """A name that tells what it is, made unique by a hash of all that its numbers depend on."""
        manner = {**asdict(self.manner), "decisions": ""}
        content = json.dumps([self.config, manner, dict(self.inputs)], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        routers = ",".join(self.manner.entrants or self.settings.routers) or "all"
        return "-".join([slug(routers, 24), slug(",".join(self.settings.ood_holdout) or "in_distribution", 24), digest])

    def manifest(self, code: str) -> dict[str, Any]:
        """Return the manifest of the cell's folder: nothing of where, when, by whom or on what it was run."""
        made = {
            "stage": "sweep",
            "cell": self.name,
            "config": self.config,
            "manner": asdict(self.manner),
            "inputs": {role: {"sha256": value} for role, value in self.inputs.items()},
            "code": code,
        }
        return json.loads(json.dumps(made))


@functools.cache
def cell_code() -> str:
    """Return a hash over the sources that cells may run, as they were when this process first asked.

    A commit would not do: a changed file is not in it, and an installed package or a worker's copy has none.
    """
    return code_version(without=NOT_IN_A_CELL)


def slug(text: str, longest: int = 60) -> str:
    """Return text that is fit for a file name; what is too long is cut and ends in a hash.

    Examples
    --------
    >>> slug("degrade:model=gpt-4,factor=0.6")
    'degrade_model_gpt-4_factor_0.6'
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.")
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest - 7]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


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
