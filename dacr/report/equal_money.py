"""Where each router stands when all spend the same: what makes one table of routers fair."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.core.registry import routers
from dacr.metrics.hull import upper_hull
from dacr.report import style
from dacr.report.folder import Absent, Results
from dacr.types import Floats

PLACES = (0.25, 0.5, 0.75, 1.0)
"""Where routers are compared: shares of the way from 1.25 times the cheapest single model's mean cost to the dearest's,
on a logarithmic scale: the range of ``--budget_grid``. What routers did plays no part, so none is shown where it
happens to look best. (Training's costs would be known even earlier, but unseen domains may cost several times as much,
and then all comparisons would crowd at the cheap end.)"""

MAIN = 0.5
"""The place of the main table and of the figures."""

SLACK = 0.1
"""A learner stands on its grid: a setting that costs a tenth more still counts as equal money."""

COSTS_RULE = (
    "Costs were fixed before any router played: 1/4, 1/2, 3/4 and all of the way from 1.25 times the cheapest single "
    "model's mean cost to the dearest's, on a logarithmic scale. Routers that do not learn mix two settings by a "
    "coin so as to spend that much; learners stand at their setting of highest quality that costs at most a tenth "
    "more. Holm's correction of differences to the first router runs over all routers at all of these costs."
)
RULE = f"{COSTS_RULE} Shown is the middle cost, or the lowest above it that the first router can keep to."
"""The rule in words, for captions and notes: of all costs, and of the one that the main table and figures show."""

_MEANS = ("mean_quality", "mean_cost", "mean_latency_s", "slo_violation_rate")


def reference_router(results: Results) -> str:
    """Return the router that the others are compared with: dacr, else the first that is no reference line."""
    return style.in_order(results.table("metrics.csv")["policy"])[0]


def is_limit(router: str) -> bool:
    """Say whether this is a limit rather than a router: it knows the truth, or every model's outcome."""
    known = router in routers.names() and bool(routers.get(router).clairvoyant)
    return known or router.endswith("_full") or "clairvoyant" in style.look(router).label


def fixed_costs(results: Results) -> Floats:
    """Return the costs at which routers are compared, (n_place,) USD per request, rising: see :data:`PLACES`.

    Without ``singles.csv`` the settings of all routers take the place of single models.
    """
    cost = (results.table("singles.csv") if results.has("singles.csv") else results.frontier())["mean_cost"]
    known = cost[cost > 0].to_numpy(float)
    if not len(known):
        raise Absent("nothing costs anything: there is no money to compare at")
    low = 1.25 * known.min()
    return np.unique(low * (max(known.max(), low) / low) ** np.array(PLACES))


def main_cost(results: Results) -> float:
    """Return the cost of the main table: the middle one, or the lowest above it that the first router can keep to."""
    metrics = results.frontier()
    own = metrics.loc[metrics["policy"] == reference_router(results), "mean_cost"]
    costs = fixed_costs(results)
    above = costs[PLACES.index(MAIN) :] if len(costs) == len(PLACES) else costs
    return float(next((cost for cost in above if own.min() <= (1.0 + SLACK) * cost), above[-1]))


def operating_points(results: Results, cost: float | None = None) -> pd.DataFrame:
    """Return one row of the metrics per policy, where each spends as much, in the order of all figures.

    A router that is dearer even at its cheapest stands there, with ``dearer`` set. See :data:`RULE`.

    Parameters
    ----------
    cost : float, optional
        Mean USD per request; by default that of the main table.

    Returns
    -------
    DataFrame
        Columns of the metrics, their means mixed, and: ``setting``, ``second`` (the setting mixed in, or
        empty), ``weight`` (its share), ``dearer``. Quantiles of a mixture are NaN.
    """
    budget = main_cost(results) if cost is None else cost
    metrics = results.frontier().dropna(subset=["mean_quality", "mean_cost"])
    # Rounded, so that settings which are the same router in other words tie, and the cheaper one is taken.
    metrics["rounded"] = metrics["mean_quality"].round(9)
    rows = []
    for router in style.in_order(metrics["policy"]):
        part = metrics[metrics["policy"] == router]
        # A mixture by a coin halves a learner's feedback; and a single model is none.
        mixes = not part["learns"].any() and router not in style.FIXED
        rows.append(_mixture(part, budget) if mixes else _on_grid(part, budget))
    return pd.concat(rows, ignore_index=True).drop(columns=["rounded"])


def portions(points: pd.DataFrame) -> pd.DataFrame:
    """Return policy, setting and weight of every setting in use: one row per policy, or two for a mixture."""
    first = points[["policy", "setting"]].assign(weight=1.0 - points["weight"])
    mixed = points[points["weight"] > 0]
    second = mixed[["policy", "second", "weight"]].rename(columns={"second": "setting"})
    return pd.concat([first, second], ignore_index=True)


def _on_grid(part: pd.DataFrame, budget: float) -> pd.DataFrame:
    within = part[part["mean_cost"] <= (1.0 + SLACK) * budget]
    row = _best(within, "rounded") if len(within) else part.sort_values("mean_cost", kind="stable").head(1)
    return row.assign(second="", weight=0.0, dearer=within.empty)


def _mixture(part: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Return the point of the hull at this cost; its cheapest or its best vertex where the hull ends."""
    cost, quality = upper_hull(part["mean_cost"], part["mean_quality"])
    right = int(np.searchsorted(cost, budget, side="right"))
    if right == 0 or right == len(cost):
        row = _vertex(part, cost[max(right - 1, 0)], quality[max(right - 1, 0)])
        return row.assign(second="", weight=0.0, dearer=bool(cost[0] > (1.0 + SLACK) * budget))
    a, b = (_vertex(part, cost[i], quality[i]) for i in (right - 1, right))
    weight = float((budget - cost[right - 1]) / (cost[right] - cost[right - 1]))
    row = a.assign(second=b["setting"].iloc[0], weight=weight, dearer=False)
    if weight > 0:
        for name in [column for column in part.columns if column.endswith("_latency_s") and column not in _MEANS]:
            row[name] = np.nan
        for name in _MEANS:
            if name in part.columns:
                row[name] = (1.0 - weight) * a[name].iloc[0] + weight * b[name].iloc[0]
    return row


def _vertex(part: pd.DataFrame, cost: float, quality: float) -> pd.DataFrame:
    return part[(part["mean_cost"] == cost) & (part["mean_quality"] == quality)].head(1)


def _best(part: pd.DataFrame, column: str) -> pd.DataFrame:
    return part.sort_values([column, "mean_cost"], ascending=[False, True], kind="stable").head(1)
