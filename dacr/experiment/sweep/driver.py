"""The driver of a sweep: plan, skip what is finished, run the rest on an engine, gather."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dacr.core import files, registry
from dacr.core.values import AtLeast1
from dacr.data.table import load
from dacr.experiment.sweep import engines, folder, gather
from dacr.experiment.sweep.cell import Outcome, Task, cell_code, run_task
from dacr.experiment.sweep.engines import Engine, EngineStopped
from dacr.experiment.sweep.folder import Stale
from dacr.experiment.sweep.grid import SweepPlan, input_files, make_plan, read_grids
from dacr.experiment.sweep.source import SAMPLE, input_sum, local_copy, make_sample

LINE_EVERY_S = 10.0
"""How often progress is told where no terminal is watching."""

Work = Callable[[tuple[str, Task]], Outcome]
Run = Callable[[Work, Sequence[tuple[str, Task]]], Iterator[Outcome]]


def run_sweep(
    *,
    config: Path = files.CONFIGS / "sweep.yaml",
    results_dir: Path = Path("results_sweep"),
    data: str | None = None,
    engine: Engine = "loky",
    address: str = "",
    n_jobs: AtLeast1 = 2,
    stale: Stale = "refuse",
    plugin: Path | None = None,
    no_cache: bool = False,
) -> int:
    """Run a grid of experiments, on this machine or a cluster; a restart does what is left.

    Parameters
    ----------
    config
        YAML file with the grid; configs/sweep.yaml is a small one.
    results_dir
        Folder for cells and tables, on storage that all workers share. A folder of another grid is refused.
    data
        Path or URL of the long table, or sample:2000 for the embedded benchmark; replaces that of the file.
    engine
        loky (processes of this machine), dask or ray.
    address
        Of a running Dask scheduler ("tcp://host:8786") or Ray cluster ("host:6379"); by default workers are started
        here.
    n_jobs
        Workers, where they are started here.
    stale
        What to do with cells that other code finished: refuse, rerun or keep.
    plugin
        Python file with registered parts of one's own, for all grids of the file.
    no_cache
        Compute everything afresh.
    """
    content = read_grids(config)
    if data is not None:
        content["data"] = data
    if plugin is not None:
        content["settings"]["plugin"] = str(plugin)
    with folder.locked(results_dir):
        plan, where = prepare(config, content, results_dir)
        folder.claim(results_dir, plan)
        targets = (results_dir / folder.CELLS).resolve()
        tasks = {
            name: Task(cell, where, targets / name, cell_code(), not no_cache) for name, cell in plan.cells.items()
        }
        state = run_cells(tasks, results_dir, engine, address, n_jobs, stale)
        experiments = gather.gather(results_dir, plan, state.done)
        if plan.report and not state.failed and not state.stopped:
            from dacr.report.across import write_across  # here: it draws, and cells do not
            from dacr.report.make import make_figures

            for path in experiments:
                make_figures(results_dir=str(path))
            print(f"over all experiments: {', '.join(write_across(results_dir))} (table, figure) in {results_dir}")
    print(state.summary())
    return state.tell_failures()


def run_cells(
    tasks: Mapping[str, Task],
    results_dir: Path,
    engine: Engine = "loky",
    address: str = "",
    n_jobs: int = 2,
    stale: Stale = "refuse",
) -> Progress:
    """Conduct every cell that is not finished yet; say which are done, which failed and which are left.

    Parameters
    ----------
    tasks : dict
        Name -> cell and where to work.
    results_dir : Path
        Gets ``failures.csv`` where some failed. Held by the caller (:func:`dacr.experiment.sweep.folder.locked`).
    """
    done = folder.finished(tasks, stale, results_dir)
    state = Progress(results_dir, len(tasks), done)
    left = {name: task for name, task in tasks.items() if name not in done}
    if left:
        try:
            with engines.connected(engine, address, n_jobs) as run:
                work_off(left, run, state)
        except EngineStopped as stop:
            state.stopped = str(stop)
    state.close()
    return state


def prepare(config: Path, content: dict[str, Any], results_dir: Path) -> tuple[SweepPlan, str]:
    """Return the plan, and where workers find the table."""
    where = str(content["data"])
    if where.startswith(SAMPLE):
        where = make_sample(where, results_dir)
    path = local_copy(where)
    if "://" not in where:
        where = str(Path(where).resolve())
    inputs = input_files(content)
    for part in (content["settings"], *content["grids"].values()):
        if part.get("plugin"):
            registry.load_plugin(part["plugin"])
    sums = {text: files.sha256(file) for text, file in inputs.items()} | {str(Path(where)): input_sum(path)}
    return make_plan(config, content, where, sums, load(path, with_response=False, incomplete=True)), where


def work_off(tasks: Mapping[str, Task], run: Run, state: Progress) -> None:
    """Run tasks until each has an outcome, whoever dies on the way.

    A dead worker takes its engine's whole round with it. What has no outcome is tried again; when two rounds in a row
    bring nothing, cells are run one at a time, and one whose worker dies then is a failed cell.

    Raises
    ------
    EngineStopped
        The cluster is gone.
    """
    waiting = dict(tasks)
    fruitless = 0
    while waiting and fruitless < 2:
        before = len(waiting)
        try:
            for outcome in run(_work, list(waiting.items())):
                state.add(outcome, waiting.pop(outcome.name))
        except EngineStopped as stop:
            if stop.fatal:
                raise
        fruitless = fruitless + 1 if len(waiting) == before else 0
    for name, task in list(waiting.items()):
        try:
            outcome = next(iter(run(_work, [(name, task)])))
        except EngineStopped as stop:
            if stop.fatal:
                raise
            outcome = Outcome(name, f"its worker died while it ran alone: {stop}")
        state.add(outcome, task)


def _work(named: tuple[str, Task]) -> Outcome:
    return run_task(*named)


class Progress:
    """Counts cells and says so: done, failed, left, and for how long."""

    def __init__(self, results_dir: Path, n_cell: int, done: set[str]) -> None:
        self.results_dir = results_dir
        self.n_cell = n_cell
        self.done = set(done)
        self.failed: list[Outcome] = []
        self.stopped = ""
        self._start = time.monotonic()
        self._before = len(done)
        self._said = 0.0
        folder.write_failures(results_dir, [])
        self._say()

    @property
    def left(self) -> int:
        """Cells without an outcome."""
        return self.n_cell - len(self.done) - len(self.failed)

    def add(self, outcome: Outcome, task: Task) -> None:
        """Take an outcome; a folder that the driver can't see is a failure."""
        if not outcome.error and not task.finished:
            outcome = Outcome(
                outcome.name,
                f"{task.target} was written but isn't here: --results_dir has to be on storage that all share",
            )
        if outcome.error:
            self.failed.append(outcome)
            folder.write_failures(self.results_dir, self.failed)
        else:
            self.done.add(outcome.name)
        self._say(outcome)

    def summary(self) -> str:
        """Return what came of all cells, in one line."""
        return (
            f"{self.n_cell} cells: {len(self.done)} done ({self._before} of them before), {len(self.failed)} failed, "
            f"{self.left} left; wrote {self.results_dir}"
        )

    def tell_failures(self) -> int:
        """Say what is left to do and why; return the exit code."""
        if self.stopped:
            print(f"the engine stopped: {self.stopped}; the same command does the cells that are left", file=sys.stderr)
        if self.failed:
            print(f"{self.results_dir / folder.FAILURES} says why; the same command tries them again", file=sys.stderr)
        return int(bool(self.failed or self.left))

    def close(self) -> None:
        """End the line on a terminal."""
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def _say(self, outcome: Outcome | None = None) -> None:
        line = f"cells: {len(self.done)} done, {len(self.failed)} failed, {self.left} left"
        tried = len(self.done) - self._before + len(self.failed)
        if tried and self.left:
            line += f", about {_in_words((time.monotonic() - self._start) / tried * self.left)}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}  {outcome.name if outcome else ''}"[:120], end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said >= LINE_EVERY_S or not self.left:
            self._said = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def _in_words(seconds: float) -> str:
    """Return ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
