"""The one loop over hold-outs: what is held out, and the folders of its experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data.splits import family_of_each, held_out_domains, hold_out, large_families, sizes
from dacr.data.table import RoutingTable
from dacr.experiment.manner import Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.cell import FILES, Cell, Task, cell_code, slug
from dacr.experiment.sweep.driver import run_cells
from dacr.experiment.sweep.folder import CELLS
from dacr.experiment.sweep.source import input_sum

TOGETHER = "+"
"""Joins families that are held out together."""


def hold_outs(
    table: RoutingTable,
    wanted: Sequence[str],
    min_n: int,
    flags: tuple[str, str] = ("--hold_outs", "--min_n"),
    groups: NDArray[np.object_] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return name -> what ``--ood_holdout`` has to say: of the hold-outs wanted, or of every large group.

    Parameters
    ----------
    wanted : sequence of str
        Groups or, where no group is called so, prefixes of domains; several of them joined by ``+`` where they are
        held out together.
    min_n : int
        Queries that a group needs where none is wanted by name.
    flags : pair of str
        Where the last two come from, for errors.
    groups : (n_query,) object, optional
        Group of every query; its domain's family by default.

    Raises
    ------
    UserError
        A name that matches no domain, or nothing left to train on.
    """
    groups = table.family if groups is None else groups
    known, family_of = sizes(groups), family_of_each(table.domain, groups)
    made = {}
    for name in wanted or large_families(known, min_n, flags[1]):
        several = [name] if name in known else name.split(TOGETHER)
        held = [prefix for one in several for prefix in (hold_out(one, family_of) if one in known else (one,))]
        try:
            held_out_domains(list(family_of), held)
        except UserError as error:
            raise UserError(str(error).replace("--ood_holdout", flags[0])) from None
        made[name] = tuple(held)
    return made


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
