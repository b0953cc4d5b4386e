"""What a hold-out's runs amount to: references in hindsight, budgets kept or not, calibration of calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dacr.metrics.calibration.measures import measures
from dacr.metrics.frontier import Frontier, lambda_frontier_area
from dacr.types import Bools, Floats, Ints, Outcomes, Played

OVERSPENT, UNUSED = 0.01, 0.05
"""A budget is overspent from 1 % over it; it is left unused where less than 95 % of it was spent."""


def supported_area(truth: Outcomes, group: Ints) -> float:
    """Return the frontier area of whoever knows each group's mean quality and cost of every model.

    One group is the hindsight hull of single models, domains as groups are the hull by domain, a group for each
    query is the oracle. Points are found by sweeping the price of a dollar.

    Parameters
    ----------
    group : (n,) int
        Code of each request's group.
    """
    size = np.bincount(group).astype(np.float64)
    n_model = truth.quality.shape[1]
    quality = np.stack([np.bincount(group, truth.quality[:, m]) for m in range(n_model)], axis=1)
    cost = np.stack([np.bincount(group, truth.cost_usd[:, m]) for m in range(n_model)], axis=1)
    some = size > 0
    quality, cost = quality[some], cost[some]
    prices = np.concatenate([[0.0], np.geomspace(1e-2, 1e9, 400)])
    every = np.arange(len(quality))
    points = []
    for price in prices:
        value = quality - price * cost
        # Of equally good models the cheapest, at a price of 0 too.
        best = np.where(value >= value.max(axis=1, keepdims=True) - 1e-12, cost, np.inf).argmin(axis=1)
        points.append((cost[every, best].sum(), quality[every, best].sum()))
    x, y = np.array(points).T / size.sum()
    return lambda_frontier_area(x, y, truth.cost_usd.mean(axis=0), truth.quality.mean(axis=0))


def hull_under(budgets: Sequence[float], truth: Outcomes) -> float:
    """Return the mean height of the hindsight hull of single models over the budgets."""
    hull = Frontier.of(truth.cost_usd.mean(axis=0), truth.quality.mean(axis=0))
    return float(hull.quality_at(np.asarray(budgets)).mean())


def budget_keeping(played: Sequence[Played], budgets: Sequence[float]) -> dict[str, float]:
    """Say how well budgets were kept, over runs x budgets.

    Returns
    -------
    dict
        worst_overspend (mean cost / budget - 1), share_over (more than 1 % over), share_unused (under 95 % spent
        although the price of money was above 0 at the end: complementary slackness fails).
    """
    used = np.stack([one.cost_usd.mean(axis=1) / budget for one, budget in zip(played, budgets, strict=True)])
    priced: Bools = np.stack(
        [np.zeros(len(one.row), dtype=bool) if one.price_cost is None else one.price_cost[:, -1] > 0 for one in played]
    )
    return {
        "worst_overspend": float(used.max() - 1),
        "share_over": float((used > 1 + OVERSPENT).mean()),
        "share_unused": float(((used < 1 - UNUSED) & priced).mean()),
    }


def called_ece(played: Sequence[Played]) -> dict[str, float]:
    """Return the ECE of the called (query, model) pairs, all models together.

    One value for each order and point of the frontier; mean over both, spread over orders of the mean over points,
    and the value that a perfectly calibrated predictor would get.
    """
    found = [[measures(p, q, smooth=False) for p, q in _pairs(one)] for one in played]
    values = np.array([[each["ece"][0] for each in runs] for runs in found])
    null = float(np.mean([runs[0]["ece_null"][0] for runs in found]))
    return {"ece": float(values.mean()), "ece_sd": float(values.mean(axis=0).std()), "ece_null": null}


def _pairs(one: Played) -> list[tuple[Floats, Floats]]:
    return [(np.clip(p[m >= 0], 0, 1), q[m >= 0]) for p, q, m in zip(one.p_hat, one.quality, one.model, strict=True)]
