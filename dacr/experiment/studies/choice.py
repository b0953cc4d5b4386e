"""Hyperparameters chosen where the reported hold-out has no part: leave one *training* domain out, in turn.

For the outer hold-out d, each other family of domains is held out in turn among what is left of the table
without d; a router plays there with every combination of its ``tunable`` arguments. The combination of the
highest mean quality over enforced budgets plays on d, among those that beat the defaults there beyond chance: by a
paired t-test over the inner hold-outs at 5 %, one-sided. Otherwise the defaults do: two inner hold-outs can't tell a
better setting from luck, and the best of a dozen is mostly luck. Nothing of d is read.

Nested cross-validation: Varma and Simon 2006, doi:10.1186/1471-2105-7-91. To keep the simpler choice within noise:
Breiman et al. 1984, Classification and Regression Trees, section 3.4.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.registry import routers
from dacr.data.splits import by_size, family_of_each, held_out_domains, hold_out, sizes
from dacr.data.table import RoutingTable
from dacr.experiment.groups import FAMILY
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.report.folder import read_csv
from dacr.types import Floats

INNER_ORDERS, INNER_BUDGETS, INNER_QUERIES, INNER_FAMILIES = 6, 8, 800, 4
"""An inner hold-out is played in fewer orders and budgets, on its first queries; the largest families serve."""


def inner_cells(
    settings: ExperimentSettings,
    table: RoutingTable,
    groups: NDArray[np.object_],
    outer: Sequence[str],
    min_n: int,
    group_by: str = FAMILY,
) -> dict[str, tuple[ExperimentSettings, Manner]]:
    """Return the experiments on which arguments are chosen: none where what is left has a single group.

    Parameters
    ----------
    settings : ExperimentSettings
        Of the outer hold-out.
    groups : (n_query,) object
        What is held out together.
    outer : sequence of str
        The domains, by their prefixes, whose rows are left out of everything here.
    min_n : int
        Queries that a group needs to be an inner hold-out.
    group_by : str
        What groups come from.
    """
    rest = ~np.isin(table.domain.astype(str), held_out_domains(table.domain.tolist(), outer))
    domain, groups = table.domain[rest], groups[rest]
    entrants = {
        entry_name(name, k): Entrant(name, option)
        for name in settings.routers
        for k, option in enumerate(options(name))
        if routers.get(name).tunable
    }
    size, group_of = sizes(groups), family_of_each(domain, groups)
    if len(size) < 2 or not entrants:
        return {}
    manner = Manner(
        compared=True,
        decisions="none",
        entrants=entrants,
        max_queries=INNER_QUERIES,
        without=tuple(outer),
        light=True,
        group_by=group_by,
    )
    common = replace(
        settings,
        lambdas=FloatList((0.0,)),
        budget_grid=INNER_BUDGETS,
        orders=INNER_ORDERS,
        seeds=IntList(range(1, INNER_ORDERS + 1)),
    )
    return {
        f"{'+'.join(outer)} inner {inner}": (
            replace(common, ood_holdout=StrList(hold_out(inner, group_of))), manner
        )
        for inner in by_size(size, min_n)[:INNER_FAMILIES]
    }  # fmt: skip


def chosen_settings(names: Sequence[str], folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the arguments chosen for each router, from the folders of the inner hold-outs; empty without any."""
    scores = [read_csv(folder / "metrics.csv").groupby("policy")["mean_quality"].mean() for folder in folders]
    chosen: dict[str, dict[str, Any]] = {}
    for name in names:
        every = options(name)
        means = [np.array([one[entry_name(name, k)] for one in scores]) for k in range(len(every)) if len(every) > 1]
        chosen[name] = every[better_than_first(means)] if means else {}
    return chosen


def entry_name(name: str, option: int) -> str:
    """Name a router with one of its options: ``dacr 3``; option 0 has its defaults."""
    return f"{name} {option}"


def better_than_first(scores: Sequence[Floats], level: float = 0.05) -> int:
    """Return the option of the highest mean score among those that beat the first beyond chance, else 0.

    Parameters
    ----------
    scores : sequence of (n_hold_out,) float
        Of each option, the default first.
    level : float
        Of a one-sided paired t-test over hold-outs; fewer than two hold-outs show nothing.

    Examples
    --------
    >>> default = np.array([0.60, 0.70, 0.65])
    >>> better_than_first([default, default + 0.02, default + [0.2, -0.1, 0.0]])
    1
    >>> better_than_first([default, default + [0.2, -0.1, 0.0]])
    0
    """
    if len(scores[0]) < 2:
        return 0
    gain = np.array([own - scores[0] for own in scores])
    mean, error = gain.mean(axis=1), np.maximum(gain.std(axis=1, ddof=1), 1e-12) / np.sqrt(gain.shape[1])
    clear = mean / error > stdtrit(gain.shape[1] - 1, 1 - level)
    return int(np.where(clear, mean, 0.0).argmax())


def options(name: str) -> list[dict[str, Any]]:
    """Return every combination of a router's tunable arguments, the defaults first; one, empty, where it has none."""
    cls = routers.get(name)
    grid = cls.tunable
    if not grid:
        return [{}]
    default = {key: getattr(cls(), key) for key in grid}
    every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return [default, *(option for option in every if option != default)]


def in_words(chosen: Mapping[str, Any]) -> str:
    """Return ``explore 1, temper 0.25``."""
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items())
