"""Where each router stands when all spend the same: what makes one table of routers fair."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.metrics.hull import upper_hull
from dacr.registry import routers
from dacr.report import style
from dacr.report.results import Absent, Results

SLACK = 0.1
"""A learner stands on its grid: a setting that costs a tenth more still counts as equal money."""

RULE = (
    "The first router stands at its best setting (mean quality minus priced lateness). Routers that do not learn "
    "mix two settings by a coin so as to spend the same; learners stand at their setting of highest quality that "
    "costs at most a tenth more."
)
"""The rule in words, for captions and notes."""

_MEANS = ("mean_quality", "mean_cost", "mean_latency_s", "slo_violation_rate")


def reference_policy(results: Results) -> str:
    """Return the policy that the others are compared with: dacr, else the first that is no reference line."""
    return style.in_order(results.table("metrics.csv")["policy"])[0]


def is_limit(policy: str) -> bool:
    """Say whether this is a limit rather than a router: it knows the truth, or every model's outcome."""
    known = policy in routers.names() and bool(routers.get(policy).clairvoyant)
    return known or policy.endswith("_full") or "clairvoyant" in style.look(policy).label


def may_mix(policy: str) -> bool:
    """Say whether two settings can be mixed by a coin: not by a learner, for which this would halve its feedback.

    A policy that is not registered here may be a learner. A single model is no mixture.
    """
    return policy in routers.names() and not routers.get(policy).learns and policy not in style.FIXED


def operating_points(results: Results) -> pd.DataFrame:
    """Return one row of the metrics per policy, at equal money, in the order of all figures.

    The cost to match is that of the reference router at its setting of highest *worth*: mean quality minus
    lambda_lat times the share of late answers. See :data:`RULE`. A router that is dearer even at its
    cheapest stands there, with ``dearer`` set.

    Returns
    -------
    DataFrame
        Columns of the metrics, their means mixed, and: ``setting``, ``second`` (the setting mixed in, or
        empty), ``weight`` (its share), ``dearer``. Quantiles of a mixture are NaN.
    """
    metrics = results.frontier()
    if "setting" not in metrics.columns:
        raise Absent("metrics.csv has no column setting")
    metrics = metrics.dropna(subset=["mean_quality", "mean_cost"])
    price = results.config.get("lambda_lat", 1.0)
    price = float(price) if isinstance(price, (int, float)) else 1.0
    # Rounded, so that settings which are the same policy in other words tie, and the cheaper one is taken.
    metrics["worth"] = (metrics["mean_quality"] - price * metrics["slo_violation_rate"].fillna(0.0)).round(9)
    metrics["rounded"] = metrics["mean_quality"].round(9)
    reference = reference_policy(results)
    own = _best(metrics[metrics["policy"] == reference], "worth")
    budget = float(own["mean_cost"].iloc[0])
    rows = [own.assign(second="", weight=0.0, dearer=False)]
    for policy in style.in_order(metrics["policy"]):
        if policy != reference:
            part = metrics[metrics["policy"] == policy]
            rows.append(_mixture(part, budget) if may_mix(policy) else _on_grid(part, budget))
    return pd.concat(rows, ignore_index=True).drop(columns=["worth", "rounded"])


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
