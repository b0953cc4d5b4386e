"""What is there to be reached, and how well predictors rank: ``references.csv`` of an experiment in a study.

References know in hindsight what no router knows: the mean quality and cost of every model in each domain, or on each
request. Whoever is near the hull by domain has learnt all about domains and nothing about requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.metrics.frontier import lambda_frontier_area
from dacr.replay.setup import Setup
from dacr.types import Floats, Ints, Outcomes

_PRICES = np.concatenate([[0.0], np.geomspace(1e-2, 1e9, 400)])
"""Prices of a dollar, in quality, that are swept to find the corners of a frontier."""


def references(setup: Setup, predictors: Iterable[str], price: float = 0.0) -> pd.DataFrame:
    """Return one row per reference: measure (``area``, or ``auc`` of a predictor), name, value.

    Parameters
    ----------
    price : float
        Of a late answer, in quality: areas are of quality - price x late.
    """
    estimator, truth = setup.estimator, setup.truth
    names = estimator.table.domain[estimator.test].astype(str)
    n, domain = len(truth), np.unique(names, return_inverse=True)[1]
    net = replace(truth, quality=truth.quality - price * truth.late)
    groups = (("hull", np.zeros(n, dtype=np.int64)), ("hull_by_domain", domain), ("oracle", np.arange(n)))
    rows: list[tuple[str, str, float]] = [("area", name, supported_area(net, group)) for name, group in groups]
    if setup.arms is not None:
        arms = setup.arms.truth
        net_arms = replace(arms, quality=arms.quality - price * arms.late)
        rows.append(("area", "gate_hull", supported_area(net_arms, groups[0][1], net)))
    for name in sorted(predictors):
        p, q = estimator.predictions(name, "test"), truth.known(truth.quality)
        known = np.isfinite(q)
        each = ((p[rows, m], q[rows, m], names[rows].tolist()) for m, rows in enumerate(known.T))
        ranked = np.concatenate([concordance(*one) for one in each])
        told = ranked[np.isfinite(ranked)]
        rows.append(("auc", name, float(told.mean()) if len(told) else np.nan))
    return pd.DataFrame(rows, columns=["measure", "name", "value"])


def shuffled_within(x: NDArray[np.float32], domain: Sequence[str], seed: int = 0) -> NDArray[np.float32]:
    """Return the features with rows permuted within each domain, to be given as ``Estimator.features``.

    A domain keeps the cloud of its rows, so that whatever is known about domains stays; which request a row
    belongs to is lost.

    Parameters
    ----------
    x : (n, n_feature) float32
    domain : n names
    """
    names = np.asarray(domain, dtype=object).astype(str)
    if names.shape != (len(x),):
        raise UserError(f"expected one domain for each of {len(x)} feature rows, got {names.shape}")
    draw = generator("features shuffled within domains", seed).random(len(x))
    _, code = np.unique(names, return_inverse=True)
    # Both lists are grouped by domain; the second one is in random order within it.
    target, source = np.argsort(code, kind="stable"), np.lexsort((draw, code))
    out = np.empty_like(x)
    out[target] = x[source]
    return out


def supported_area(truth: Outcomes, group: Ints, single: Outcomes | None = None) -> float:
    """Return the frontier area of whoever knows each group's mean quality and cost of every model.

    One group is the hindsight hull of single models, domains as groups are the hull by domain, a group for each
    query is the oracle. Points are found by sweeping the price of a dollar.

    Parameters
    ----------
    group : (n,) int
        Code of each request's group.
    single : Outcomes, optional
        Of single models, whose costs are the range of the area, where ``truth`` has plans too.
    """
    single = truth if single is None else single
    size = np.bincount(group).astype(np.float64)
    n_model = truth.quality.shape[1]
    quality = np.stack([np.bincount(group, truth.quality[:, m]) for m in range(n_model)], axis=1)
    cost = np.stack([np.bincount(group, truth.cost_usd[:, m]) for m in range(n_model)], axis=1)
    if truth.recorded is not None:
        there = np.stack([np.bincount(group, truth.recorded[:, m]) > 0 for m in range(n_model)], axis=1)
        quality = np.where(there, quality, -np.inf)  # nobody in the group can call it
    some = size > 0
    quality, cost = quality[some], cost[some]
    every = np.arange(len(quality))
    points = []
    for price in _PRICES:
        value = quality - price * cost
        # Of equally good models the cheapest, at a price of 0 too.
        best = np.where(value >= value.max(axis=1, keepdims=True) - 1e-12, cost, np.inf).argmin(axis=1)
        points.append((cost[every, best].sum(), quality[every, best].sum()))
    x, y = np.array(points).T / size.sum()
    return lambda_frontier_area(x, y, single.cost_usd.mean(axis=0), single.quality.mean(axis=0))


def concordance(p: ArrayLike, q: ArrayLike, domain: Sequence[str] | None = None) -> Floats:
    r"""Return the within-domain AUC of each column, pairs weighted by how much their quality differs.

    .. math:: \mathrm{AUC} = \frac12\left(1 + \frac{\sum_{i<j} \mathrm{sign}(p_i - p_j)(q_i - q_j)}
              {\sum_{i<j} |q_i - q_j|}\right)

    over pairs of one domain; the ordinary AUC where quality is 0 or 1. Ties in p count one half. Both sums
    come from ranks, in O(n log n): each value enters as often as it is the larger less as often as it is the
    smaller one.

    Parameters
    ----------
    p, q : (n,) or (n, n_model) float
        Predictions, and qualities, which may be fractional.
    domain : n names, optional
        All one domain where it is left out.

    Returns
    -------
    (n_model,) float; NaN where qualities never differ within a domain.

    Examples
    --------
    >>> concordance([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).tolist()
    [0.75]
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(f"expected p and q of one shape (n,) or (n, n_model), got {a.shape} and {b.shape}")
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    names = np.full(len(a), "") if domain is None else np.asarray(domain, dtype=object).astype(str)
    if names.shape != (len(a),):
        raise ValueError(f"expected one domain for each of {len(a)} rows, got {names.shape}")
    signed, total = np.zeros(a.shape[1]), np.zeros(a.shape[1])
    for name in np.unique(names):
        mine = names == name
        signed += (_lead(a[mine]) * b[mine]).sum(axis=0)
        total += (_lead(b[mine]) * b[mine]).sum(axis=0)
    some = total > 1e-12
    out: Floats = np.full(len(total), np.nan)
    out[some] = 0.5 * (1 + signed[some] / total[some])
    return out


def _lead(values: Floats) -> Floats:
    """Return, per column, how many rows are smaller less how many are larger: (n, n_column)."""
    ranks: Floats = pd.DataFrame(values).rank().to_numpy()
    return 2 * ranks - len(values) - 1
