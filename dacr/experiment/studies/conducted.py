"""The one loop over hold-outs: what is held out, and the folders of its experiments."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dacr.core import files
from dacr.core.errors import UserError
from dacr.experiment.manner import Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.cell import FILES, Cell, Task, cell_code, slug
from dacr.experiment.sweep.driver import run_cells
from dacr.experiment.sweep.folder import CELLS
from dacr.experiment.sweep.source import input_sum


def shared(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of a study that its experiments have as well, but how many run at a time."""
    own = {field.name for field in fields(ExperimentSettings)} - {"n_jobs"}
    return {name: value for name, value in flags.items() if name in own}


def conducted(
    cells: Mapping[str, tuple[ExperimentSettings, Manner]],
    data: Path,
    out_dir: Path,
    n_jobs: int,
    use_cache: bool = True,
) -> dict[str, Path]:
    """Conduct experiments, each in a folder of its own; those that are finished are not done again.

    Parameters
    ----------
    cells : dict
        Name -> what to run, and how.
    out_dir : Path
        Held by the caller. Folders go to ``cells/`` in it.

    Returns
    -------
    dict
        Name -> results folder.
    """
    paths = {getattr(settings, role) for settings, _ in cells.values() for role in FILES}
    sums = {str(path): input_sum(files.existing_file(path) if path != data else path) for path in paths if path}
    tasks = {
        name: Task(
            Cell.of(settings, sums, manner), str(data.resolve()), (out_dir / CELLS / slug(name)).resolve(),
            cell_code(), use_cache,
        )
        for name, (settings, manner) in cells.items()
    }  # fmt: skip
    state = run_cells(tasks, out_dir, n_jobs=n_jobs, stale="rerun")
    if state.failed or state.left:
        why = f"{state.failed[0].name}: {state.failed[0].error}" if state.failed else state.stopped
        raise UserError(f"{len(tasks) - len(state.done)} of {len(tasks)} experiments failed, {why}; try it again")
    return {name: task.target for name, task in tasks.items()}
