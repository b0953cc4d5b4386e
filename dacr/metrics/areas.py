"""Frontier areas of what was played: runs side by side, and the area of their mean points, resampled.

A learner cannot mix two of its runs, and the hull of a single run picks its lucky points. So a router's frontier is
that of its points averaged over stream orders, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.metrics.panel import Panel
from dacr.types import Floats, Played

VALUES: dict[str, Callable[[Played], Floats]] = {
    "quality": lambda one: one.quality,
    "cost": lambda one: one.cost_usd,
}
"""What a panel holds of each decision."""


def panel_of(
    played: Sequence[tuple[str, str, Played]],
    depends: Sequence[bool],
    n_query: int,
    values: Mapping[str, Callable[[Played], Floats]] = VALUES,
) -> Panel:
    """Arrange runs by query, so that every router's values stand beside the others'.

    Parameters
    ----------
    played : list of (policy, label, Played)
        All with the same number of runs over all ``n_query`` requests.
    depends : one bool per entry
        Whether its decisions depend on earlier ones.
    values : mapping
        Name of a value -> what it is of each decision: (n_run, n).
    """
    if not played:
        raise UserError("no runs were made, so there is nothing to compare; give at least one router")
    n_run = len(played[0][2].row)
    by_query = {name: np.empty((len(played), n_run, n_query)) for name in values}
    for k, (_, _, one) in enumerate(played):
        for name, of in values.items():
            np.put_along_axis(by_query[name][k], one.row, of(one), axis=1)
    named = pd.DataFrame([{"policy": router, "setting": label} for router, label, _ in played])
    empty = np.full(n_query, "", dtype=object)
    blocks = {name: np.moveaxis(block, 0, 2) for name, block in by_query.items()}
    return Panel(named, np.array(depends, dtype=bool), empty, empty, tuple(range(n_run)), blocks)
