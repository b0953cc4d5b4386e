"""What a worker does: one cell, from the table to its part. The same bytes in whatever process it is done."""

from __future__ import annotations

import os
import tempfile
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib
import pandas as pd
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from dacr.core import files, registry
from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.core.manifest import from_metadata, to_metadata
from dacr.data.table import RoutingTable, load
from dacr.experiment.calibration.beliefs import OnlineCalibration
from dacr.experiment.calibration.tables import calibration_tables
from dacr.experiment.left_out import PERFECT, left_out
from dacr.experiment.perfect_information import PerfectInformation
from dacr.experiment.run import write
from dacr.experiment.sweep.cell import REFERENCES, Cell
from dacr.experiment.sweep.cell_code import cell_code
from dacr.experiment.sweep.parts import is_finished, write_part
from dacr.experiment.sweep.source import local_copy
from dacr.experiment.writer import ResultsWriter, singles_table
from dacr.replay.play import enter, play
from dacr.replay.protocols.combined import parse
from dacr.replay.setup import Setup, set_up
from dacr.replay.testbed import Testbed

T = TypeVar("T")

RECORDED_SEED = 1
"""The run of this name takes the stream as it was recorded; every other name has an order of its own."""


@dataclass(frozen=True)
class Task:
    """A cell and where to work: what is sent to a worker. The table is not in it.

    Attributes
    ----------
    data : str
        Path or URL of the table, as workers reach it.
    results_dir : Path
        On storage that driver and workers share.
    code : str
        The driver's :func:`cell_code`.
    """

    cell: Cell
    data: str
    results_dir: Path
    code: str
    use_cache: bool = True

    @property
    def part(self) -> Path:
        """Where the part goes."""
        return part_path(self.results_dir, self.cell.name)

    @property
    def decisions(self) -> Path:
        """Where the decisions go, if they are kept."""
        return decisions_path(self.results_dir, self.cell.name)

    @property
    def manifest(self) -> dict[str, Any]:
        """What is embedded in the part."""
        return self.cell.manifest(self.code)

    @property
    def finished(self) -> bool:
        """Whether all that the cell gives lies there, readable and of this cell."""
        if not is_finished(self.part, self.manifest):
            return False
        return not self.cell.decisions or _decisions_match(self.decisions, self.manifest)


@dataclass(frozen=True)
class Outcome:
    """What became of a task: ``error`` is empty where the part was written, else one line."""

    name: str
    error: str = ""
    details: str = ""


def part_path(results_dir: Path, name: str) -> Path:
    """Return where a cell's part lies."""
    return results_dir / "parts" / f"{name}.parquet"


def decisions_path(results_dir: Path, name: str) -> Path:
    """Return where a cell's decisions lie."""
    return results_dir / "decisions" / f"{name}.parquet"


def run_task(task: Task) -> Outcome:
    """Run a cell and write its part; whatever goes wrong is told, not raised."""
    try:
        if cell_code() != task.code:
            raise UserError(f"this worker has code {cell_code()}, the driver {task.code}; give both the same")
        # A worker with several threads would share the memo and the limit: it runs one cell at a time. And cells
        # make no tasks of their own: Dask would hand them to other workers, each of which waits for its own.
        with _ONE_AT_A_TIME, threadpool_limits(1), joblib.parallel_config("sequential"):
            _run(task)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Outcome(task.cell.name, " ".join(reason.split()) or type(error).__name__, traceback.format_exc())
    return Outcome(task.cell.name)


def _run(task: Task) -> None:
    cell = task.cell
    if cell.settings.plugin is not None:
        registry.load_plugin(cell.settings.plugin)
    bed, shared = _split_of(task)
    setup = replace(shared, settings=replace(cell.settings, n_jobs=1))
    if cell.kind == REFERENCES:
        calibration, reliability = calibration_tables(setup.estimator, setup.settings)
        singles = singles_table(bed, setup.settings.tau_seconds)
        tables = {"singles": singles, "calibration": calibration, "reliability": reliability}
    else:
        tables = _play(task, bed, setup)
    write_part(task.part, tables, task.manifest)


def _play(task: Task, bed: Testbed, setup: Setup) -> dict[str, pd.DataFrame]:
    """Play the cell's router; return metrics by run and by domain, prices, regret and calibration on the way."""
    runs = setup.runs(tuple(setup.settings.seeds), recorded=(RECORDED_SEED,))
    entry = enter(setup.settings.routers[0], setup)
    # Cells are compared run by run, so that every router plays the cell's runs, also where their order plays no part.
    world = replace(setup.world, static=runs, learning=runs, record_beliefs=True)
    played = play(entry, world)
    perfect = PerfectInformation(setup.settings.tau_seconds)
    if setup.settings.decision_info == "both" and PERFECT not in left_out(setup.settings):
        perfect.add(entry, world, played)
    online = OnlineCalibration(bed.table.domain[bed.test], bed.table.model)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=files.make_folder(task.decisions.parent)) as folder:
        writer = ResultsWriter(
            Path(folder),
            bed.table.qid[bed.test],
            bed.table.domain[bed.test],
            bed.table.model,
            setup.settings.tau_seconds,
            to_metadata(task.manifest),
        )
        for point, one in zip(entry.points, played, strict=True):
            # Figures and intervals are made of frontiers; decisions under enforced budgets would double the file.
            writer.keep_decisions = task.cell.decisions and not point.enforced
            write(writer, online, replace(entry, points=(point,)), [one], setup)
        by_run, by_domain = writer.runs()
        if task.cell.decisions:
            os.replace(Path(folder) / "decisions.parquet", task.decisions)
    return {
        "runs": by_run,
        "domains": by_domain,
        "online": online.table(),
        "online_bins": online.bins(),
        "perfect_information": perfect.frame(),
        **writer.more_tables(),
    }


_ONE_AT_A_TIME = threading.Lock()
_MEMO_SIZE = 2
_tables: OrderedDict[str, RoutingTable] = OrderedDict()
_splits: OrderedDict[str, tuple[Testbed, Setup]] = OrderedDict()


def _split_of(task: Task) -> tuple[Testbed, Setup]:
    """Return the split of a cell, kept in this process: most cells ask for one of the last two."""
    settings = task.cell.settings
    table = _remembered(_tables, task.cell.inputs["data"], lambda: _load(task))
    # Training knows nothing of models that a protocol lets join late: such cells have a split of their own.
    cold = parse(settings.protocol).effects(table.n_query, table.model, settings.seeds[0]).cold
    key = f"{task.cell.split_key} {cold} {task.use_cache}"
    return _remembered(_splits, key, lambda: set_up(settings, table, Cache.from_environment(task.use_cache)))


def _load(task: Task) -> RoutingTable:
    return load(local_copy(task.data, task.cell.inputs["data"]))


def _remembered(memo: OrderedDict[str, T], key: str, make: Callable[[], T]) -> T:
    if key not in memo:
        while len(memo) >= _MEMO_SIZE:  # before another is made: at most so many are in memory at once
            memo.popitem(last=False)
        memo[key] = make()
    memo.move_to_end(key)
    return memo[key]


def _decisions_match(path: Path, manifest: dict[str, Any]) -> bool:
    try:
        file = pq.ParquetFile(path)
        with file:
            return file.metadata.num_rows > 0 and from_metadata(file.schema_arrow.metadata) == manifest
    except (OSError, ValueError):
        return False
