"""Where each router stands when all spend the same: what makes one table of routers fair."""

import numpy as np
import pandas as pd

from dacr.core.registry import routers
from dacr.metrics.budgets import one_per_budget
from dacr.metrics.hull import upper_hull
from dacr.report import style
from dacr.report.folder import Results
from dacr.types import Floats

PLACES = (0.25, 0.5, 0.75, 1.0)
"""Where routers are compared if no budget was enforced: shares of the way from 1.25 times the cheapest single model's
mean cost to the dearest's, on a logarithmic scale: the range of ``--budget_grid``. What routers did plays no part, so
none is shown where it happens to look best. (Training's costs would be known even earlier, but unseen domains may cost
several times as much, and then all comparisons would crowd at the cheap end.)"""

MAIN = 0.5
"""The place of the main table and of the figures."""

MOST = 6
"""Enforced budgets at which routers are compared: of more of them as many, evenly, the ends included."""

SLACK = 0.1
"""A learner stands on its grid: a setting that costs a tenth more still counts as equal money."""

_BUDGETS_RULE = (
    "Equal money is an enforced budget: every router played under the same guard; the table of budgets has what they "
    "spent. Routers that can't play under one (their limits are their own) mix two settings by a coin so "
    "as to spend as much. Holm's correction of differences to the first router runs over all routers at all budgets."
)

_COSTS_RULE = (
    "No budget was enforced (--budget_grid), so costs were fixed before any router played: 1/4, 1/2, 3/4 and all of "
    "the way from 1.25 times the cheapest single model's mean cost to the dearest's, on a logarithmic scale. Routers "
    "that do not learn mix two settings by a coin so as to spend that much; learners stand at their best setting that "
    "costs at most a tenth more. Holm's correction of differences to the first router runs over all routers at all of "
    "these costs."
)

_MEANS = ("mean_quality", "net", "mean_cost", "mean_latency_s", "slo_violation_rate")


def reference_router(results: Results) -> str:
    """Return the router that the others are compared with: dacr, else the first that is no reference line."""
    return style.in_order(results.table("metrics.csv")["policy"])[0]


def is_limit(router: str) -> bool:
    """Say whether this is a limit rather than a router: it knows the truth, or every model's outcome."""
    known = router in routers.names() and bool(routers.get(router).clairvoyant)
    return known or router.endswith("_full") or "clairvoyant" in style.look(router).label


def costs_rule(results: Results) -> str:
    """Return the rule by which costs are equal, in words, for captions and notes."""
    return _BUDGETS_RULE if len(_enforced(results)) else _COSTS_RULE


def rule(results: Results) -> str:
    """Return :func:`costs_rule`, and which cost the main table and the figures show."""
    one = "budget" if len(_enforced(results)) else "cost, or the lowest above it that the first router can keep to"
    return f"{costs_rule(results)} Shown is the middle {one}."


def worth(results: Results) -> str:
    """Name what is compared: quality, or quality less the price of late answers."""
    price = results.price_late
    return f"quality less {price:g} x share of late answers" if price else "quality"


def fixed_costs(results: Results) -> Floats:
    """Return the costs at which routers are compared, (n_place,) USD per request, rising.

    They are the enforced budgets of money; where there was none, see :data:`PLACES`. Without ``singles.csv`` the
    settings of all routers take the place of single models.
    """
    budgets = _enforced(results)["budget_cost"]
    if len(budgets):
        budgets = np.unique(budgets)
        return budgets[np.unique(np.linspace(0, len(budgets) - 1, MOST).round().astype(int))]
    cost = (results.table("singles.csv") if results.has("singles.csv") else results.frontier())["mean_cost"]
    known = cost[cost > 0].to_numpy(float)
    if not len(known):  # all is free, and so all at equal money
        return np.zeros(1)
    low = 1.25 * known.min()
    return np.unique(low * (max(known.max(), low) / low) ** np.array(PLACES))


def main_cost(results: Results) -> float:
    """Return the cost of the main table: the middle budget, or the middle cost that the first router can keep to."""
    costs = fixed_costs(results)
    if len(_enforced(results)):
        return float(costs[(len(costs) - 1) // 2])
    metrics = results.frontier()
    own = metrics.loc[metrics["policy"] == reference_router(results), "mean_cost"]
    above = costs[PLACES.index(MAIN) :] if len(costs) == len(PLACES) else costs
    return float(next((cost for cost in above if own.min() <= (1.0 + SLACK) * cost), above[-1]))


def operating_points(results: Results, cost: float | None = None, budgets: bool = True) -> pd.DataFrame:
    """Return one row of the metrics per policy, where each spends as much, in the order of all figures.

    A router that is dearer even at its cheapest stands there, with ``dearer`` set. See :func:`rule`.

    Parameters
    ----------
    cost : float, optional
        Mean USD per request, one of :func:`fixed_costs`; by default that of the main table.
    budgets : bool
        Whether routers stand at their enforced budgets; without, along their frontiers.

    Returns
    -------
    DataFrame
        Columns of the metrics, their means mixed, and: ``net`` (what is compared, see :func:`worth`), ``setting``,
        ``second`` (the setting mixed in, or empty), ``weight`` (its share), ``dearer``. Quantiles of a mixture are NaN.
    """
    budget = main_cost(results) if cost is None else cost
    held = with_net(_enforced(results), results)
    held = held[budgets & (held["budget_cost"] == budget)]
    metrics = with_net(results.table("metrics.csv"), results).dropna(subset=["net", "mean_cost"])
    metrics = metrics[~metrics["enforced"]]
    rows = []
    for router in style.in_order(pd.concat([metrics["policy"], held["policy"]])):
        own, part = held[held["policy"] == router], metrics[metrics["policy"] == router]
        # A mixture by a coin halves a learner's feedback; and a single model is none.
        mixes = not part["learns"].any() and router not in style.FIXED
        if len(own):
            dearer = bool(own["mean_cost"].iloc[0] > (1.0 + SLACK) * budget)
            rows.append(own.assign(second="", weight=0.0, dearer=dearer))
        else:
            rows.append(_mixture(part, budget) if mixes else _on_grid(part, budget))
    return pd.concat(rows, ignore_index=True)


def with_net(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Add ``net`` to a table of metrics: see :func:`worth`."""
    price = results.price_late
    # Rounded, so that settings which are the same router in other words tie, and the cheaper one is taken.
    net = table["mean_quality"] - price * table["slo_violation_rate"] if price else table["mean_quality"]
    return table.assign(net=net.round(9))


def portions(points: pd.DataFrame) -> pd.DataFrame:
    """Return policy, setting and weight of every setting in use: one row per policy, or two for a mixture."""
    first = points[["policy", "setting"]].assign(weight=1.0 - points["weight"])
    mixed = points[points["weight"] > 0]
    second = mixed[["policy", "second", "weight"]].rename(columns={"second": "setting"})
    return pd.concat([first, second], ignore_index=True)


def _enforced(results: Results) -> pd.DataFrame:
    """Return a row per router and enforced budget of money."""
    table = results.table("metrics.csv")
    if "budget_cost" not in table:
        return table.iloc[:0].assign(budget_cost=np.nan)
    return one_per_budget(table[table["enforced"]]).reset_index(drop=True)


def _on_grid(part: pd.DataFrame, budget: float) -> pd.DataFrame:
    within = part[part["mean_cost"] <= (1.0 + SLACK) * budget]
    best = within.sort_values(["net", "mean_cost"], ascending=[False, True], kind="stable")
    row = (best if len(within) else part.sort_values("mean_cost", kind="stable")).head(1)
    return row.assign(second="", weight=0.0, dearer=within.empty)


def _mixture(part: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Return the point of the hull at this cost; its cheapest or its best vertex where the hull ends."""
    cost, net = upper_hull(part["mean_cost"], part["net"])
    right = int(np.searchsorted(cost, budget, side="right"))
    if right == 0 or right == len(cost):
        row = _vertex(part, cost[max(right - 1, 0)], net[max(right - 1, 0)])
        return row.assign(second="", weight=0.0, dearer=bool(cost[0] > (1.0 + SLACK) * budget))
    a, b = (_vertex(part, cost[i], net[i]) for i in (right - 1, right))
    weight = float((budget - cost[right - 1]) / (cost[right] - cost[right - 1]))
    row = a.assign(second=b["setting"].iloc[0], weight=weight, dearer=False)
    if weight > 0:
        for name in [column for column in part.columns if column.endswith("_latency_s") and column not in _MEANS]:
            row[name] = np.nan
        for name in _MEANS:
            if name in part.columns:
                row[name] = (1.0 - weight) * a[name].iloc[0] + weight * b[name].iloc[0]
    return row


def _vertex(part: pd.DataFrame, cost: float, net: float) -> pd.DataFrame:
    return part[(part["mean_cost"] == cost) & (part["net"] == net)].head(1)
