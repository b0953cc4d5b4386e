r"""Intervals for routers that do not learn, and for those that do.

A router that does not depend on earlier decisions is a fixed function of the request: resample the queries.
The decisions of one that learns depend on each other, and resampling the queries of one run leaves the
randomness of the run out (nominal 95 % covered 40 to 75 %). It is run in O independent stream orders, and a
replicate moves queries and orders at once,

.. math:: \theta^* = \theta(\bar x_{\cdot q}, c^*) + \frac1O \sum_o w^*_o \theta_o - \hat\theta,

with query counts c*, order weights w* and the average over orders of each query's value. Its variance is the
query variance of the averages plus the order variance / O. One run gets no interval.

This is right for differences between routers. For a learner's own mean it is too short, since it does not
show what other queries would have taught: cite differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.metrics.hull import areas
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.types import Bools, Floats

ONE_RUN = "one run of a policy whose decisions depend on each other: no interval; run it in 10 stream orders"
BY_QUERY = "bootstrap over queries"
CROSSED = "bootstrap over queries x stream orders"


@dataclass(frozen=True)
class Replicates:
    """One statistic of every setting, and its bootstrap replicates.

    Attributes
    ----------
    estimate : (n_column,) float
    draws : (n_column, n_resample) float
        NaN throughout where there is no interval.
    method : list of str, one per column
        How the draws were made; or, where there are none, why not.
    """

    estimate: Floats
    draws: Floats
    method: list[str]

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the percentile interval's ends, ``(n_column,)`` each; NaN where there is none."""
        return percentile(self.draws, level)

    def take(self, columns: list[int]) -> Replicates:
        """Return the replicates of these columns."""
        return Replicates(self.estimate[columns], self.draws[columns], [self.method[c] for c in columns])

    def without(self, columns: list[int], why: str) -> Replicates:
        """Return the same with no interval for these columns, and the reason."""
        draws = self.draws.copy()
        draws[columns] = np.nan
        method = [why if c in columns else own for c, own in enumerate(self.method)]
        return Replicates(self.estimate, draws, method)


def percentile(draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the equal-tailed percentile interval of each row; rows without draws give NaN."""
    if not 0 < level < 1:
        raise UserError(f"a level lies between 0 and 1, got {level:g}; try 0.95")
    ends = np.full((2, len(draws)), np.nan)
    some = np.isfinite(draws).any(axis=1)
    if some.any():
        ends[:, some] = np.nanquantile(draws[some], [0.5 - level / 2, 0.5 + level / 2], axis=1)
    return ends[0], ends[1]


def means(panel: Panel, name: str, resamples: Resamples, where: Bools | None = None) -> Replicates:
    """Replicate the mean of a column of the panel over queries (and stream orders).

    Parameters
    ----------
    name : str
        Column of ``panel.values``, such as "quality".
    where : (n_query,) bool, optional
        Over these queries alone, such as one domain's.
    """
    block = panel.values[name]
    _fits(panel, resamples)
    per_order = (block if where is None else block[:, where]).mean(axis=1)  # (n_order, n_setting)
    return _combine(panel, per_order, resamples.means(block.mean(axis=0), where), resamples)


def of_models(values: Floats, resamples: Resamples) -> Replicates:
    """Replicate the mean of each single model, whose values on each query are (n_query, n_model)."""
    return Replicates(values.mean(axis=0), resamples.means(values), [BY_QUERY] * values.shape[1])


def frontier_areas(
    panel: Panel, cost: Replicates, quality: Replicates, single: tuple[Replicates, Replicates]
) -> tuple[list[str], Replicates]:
    """Replicate each router's hull area between the cheapest and the dearest single model.

    Parameters
    ----------
    cost, quality : Replicates
        Of the means of all settings, from :func:`means` with the same resamples.
    single : (cost, quality)
        Of the single models, from :func:`of_models`. The cost range is that of the replicate,
        from the model that is cheapest on all queries to the replicate's dearest.

    Returns
    -------
    names : list of str
        The routers.
    areas : Replicates, one column per name
    """
    single_cost = np.column_stack([single[0].estimate, single[0].draws])
    single_quality = np.column_stack([single[1].estimate, single[1].draws])
    # Of models that cost the same the best one, as in lambda_frontier_area; the same model in all replicates.
    cheapest = int(np.lexsort((-single_quality[:, 0], single_cost[:, 0]))[0])
    low, high = single_cost[cheapest], single_cost.max(axis=0)
    router = panel.settings["policy"]
    names = list(dict.fromkeys(router))
    out, methods = [], []
    for name in names:
        rows = np.flatnonzero((router == name).to_numpy())
        x = np.vstack([np.column_stack([cost.estimate[rows], cost.draws[rows]]), single_cost[cheapest]])
        y = np.vstack([np.column_stack([quality.estimate[rows], quality.draws[rows]]), single_quality[cheapest]])
        sound = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
        area = np.full(x.shape[1], np.nan)
        area[sound] = areas(x[:, sound].T, y[:, sound].T, low[sound], high[sound])
        out.append(area)
        methods.append(ONE_RUN if not sound[1:].any() else CROSSED if panel.depends[rows].any() else BY_QUERY)
    table = np.array(out)
    return names, Replicates(table[:, 0], table[:, 1:], methods)


def averages(replicates: Replicates, groups: pd.Series) -> tuple[list[str], Replicates]:
    """Average settings within groups, each setting with the same weight: the headline over enforced budgets.

    Parameters
    ----------
    groups : Series of n_column names
        Usually the router of each setting.
    """
    names = list(dict.fromkeys(groups))
    members = [np.flatnonzero((groups == name).to_numpy()) for name in names]
    return names, Replicates(
        np.array([replicates.estimate[m].mean() for m in members]),
        np.array([replicates.draws[m].mean(axis=0) for m in members]),
        [next((r for r in (replicates.method[c] for c in m) if r != BY_QUERY), BY_QUERY) for m in members],
    )


def _combine(panel: Panel, per_order: Floats, by_query: Floats, resamples: Resamples) -> Replicates:
    """Add the movement of orders to that of queries, for the settings that depend on the order."""
    estimate = per_order.mean(axis=0)
    draws = by_query.copy()
    method = [BY_QUERY] * len(estimate)
    for column in np.flatnonzero(panel.depends):
        if panel.n_order == 1:
            draws[column] = np.nan
            method[column] = ONE_RUN
        else:
            draws[column] += per_order[:, column] @ resamples.order_weights / panel.n_order
            draws[column] -= estimate[column]  # the weights sum to n_order
            method[column] = CROSSED
    return Replicates(estimate, draws, method)


def _fits(panel: Panel, resamples: Resamples) -> None:
    shape = (len(resamples.counts), len(resamples.order_weights))
    if shape != (panel.n_query, panel.n_order):
        raise UserError(
            f"the resamples are for {shape[0]} queries and {shape[1]} orders, the panel has {panel.n_query} and "
            f"{panel.n_order}; draw them with draw(panel.n_query, panel.n_order)"
        )
