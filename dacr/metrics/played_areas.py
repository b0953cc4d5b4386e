"""Frontier areas of what was played: runs side by side, an area for each stream order, areas resampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dacr.errors import UserError
from dacr.metrics import intervals
from dacr.metrics.frontier import lambda_frontier_area
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.replay.runs import Played
from dacr.types import Floats, Outcomes


def panel_of(played: Sequence[tuple[str, str, Played]], depends: Sequence[bool], n_query: int) -> Panel:
    """Arrange runs by query, so that every policy's values stand beside the others'.

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
    named = pd.DataFrame([{"policy": policy, "setting": label} for policy, label, _ in played])
    empty = np.full(n_query, "", dtype=object)
    values = {"quality": quality, "cost": cost}
    return Panel(named, np.array(depends, dtype=bool), empty, empty, tuple(range(n_run)), values)


def order_areas(panel: Panel, truth: Outcomes) -> dict[str, Floats]:
    """Return each policy's frontier area in each stream order: ``(n_order,)`` per policy."""
    single = truth.cost_usd.mean(axis=0), truth.quality.mean(axis=0)
    cost, quality = panel.values["cost"].mean(axis=1), panel.values["quality"].mean(axis=1)
    out = {}
    for policy in dict.fromkeys(panel.settings["policy"]):
        mine = np.flatnonzero((panel.settings["policy"] == policy).to_numpy())
        out[policy] = np.array(
            [lambda_frontier_area(c[mine], q[mine], *single) for c, q in zip(cost, quality, strict=True)]
        )
    return out


def area_replicates(panel: Panel, truth: Outcomes, resamples: Resamples) -> tuple[list[str], intervals.Replicates]:
    """Replicate every policy's frontier area over queries and stream orders."""
    cost, quality = (intervals.means(panel, name, resamples) for name in ("cost", "quality"))
    single = tuple(
        intervals.Replicates(x.mean(axis=0), resamples.means(x), [intervals.BY_QUERY] * x.shape[1])
        for x in (truth.cost_usd, truth.quality)
    )
    return intervals.frontier_areas(panel, cost, quality, (single[0], single[1]))
