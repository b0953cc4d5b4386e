"""Frontier areas of what was played: runs side by side, and the area of their mean points, resampled.

A learner cannot mix two of its runs, and the hull of a single run picks its lucky points. So a router's frontier is
that of its points averaged over stream orders, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.metrics import intervals
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.types import Outcomes, Played


def panel_of(played: Sequence[tuple[str, str, Played]], depends: Sequence[bool], n_query: int) -> Panel:
    """Arrange runs by query, so that every router's values stand beside the others'.

    Parameters
    ----------
    played : list of (policy, label, Played)
        All with the same number of runs over all ``n_query`` requests.
    depends : one bool per entry
        Whether its decisions depend on earlier ones.
    """
    if not played:
        raise UserError("no runs were made, so there is nothing to compare; give at least one router")
    n_run = len(played[0][2].row)
    shape = (n_run, n_query, len(played))
    quality, cost = np.empty(shape), np.empty(shape)
    run = np.arange(n_run)[:, None]
    for k, (_, _, one) in enumerate(played):
        quality[run, one.row, k] = one.quality
        cost[run, one.row, k] = one.cost_usd
    named = pd.DataFrame([{"policy": router, "setting": label} for router, label, _ in played])
    empty = np.full(n_query, "", dtype=object)
    values = {"quality": quality, "cost": cost}
    return Panel(named, np.array(depends, dtype=bool), empty, empty, tuple(range(n_run)), values)


def area_replicates(panel: Panel, truth: Outcomes, resamples: Resamples) -> tuple[list[str], intervals.Replicates]:
    """Replicate every router's frontier area over queries and stream orders."""
    cost, quality = (intervals.means(panel, name, resamples) for name in ("cost", "quality"))
    single = tuple(
        intervals.Replicates(x.mean(axis=0), resamples.means(x), [intervals.BY_QUERY] * x.shape[1])
        for x in (truth.cost_usd, truth.quality)
    )
    return intervals.frontier_areas(panel, cost, quality, (single[0], single[1]))
