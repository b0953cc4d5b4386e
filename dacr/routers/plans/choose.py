"""Which plans are worth having: chosen on training domains, by what they add over a grid of prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from dacr.core.registry import plans
from dacr.estimates.answers.read import UNREAD
from dacr.routers.plans.base import Plan
from dacr.routers.plans.paths import follow
from dacr.types import Bools, Floats, Ints, Outcomes

N_NEAR = 12
"""Models that plans are made of: those that lose least to the hull of single models. Bounds the work on many models."""

N_PRICE = 15
"""Prices of a dollar at which plans are weighed, beside 0."""

MAX_ROWS = 8000
"""Training rows that candidates are weighed on, evenly spread: more tell the same plans apart by less than noise."""

READABLE = 0.5
"""A domain whose answers could be read to at least this share says something about plans."""

MIN_BITS = 0.3
"""A model whose answers in a domain carry less says nearly always the same: that others agree with it is no news."""

MIN_DOMAIN = 30
"""Families of fewer training rows are weighed together."""

MIN_GAIN = 2e-5
"""A plan that adds less to the mean value over prices and domains, in quality, is not worth its column."""


def choose_plans(
    models: Sequence[str],
    outcomes: Outcomes,
    family: Ints,
    n_plans: int,
    known: Bools | None = None,
) -> list[Plan]:
    """Return at most ``n_plans`` plans, the most valuable first; none where answers can't be read.

    A candidate's worth in a domain d at a price x is what it adds there to the best single model,

        w_d(x) = [q_d - x c_d - max_m (q_dm - x c_dm)]+,

    and plans are added one by one, each the one that most raises the mean of the best worth over prices and domains.
    Worth that is negative counts as none, since a router that learns does without the plan there.

    Parameters
    ----------
    models : (n_model,) str
    outcomes : Outcomes
        Of the models on the training rows, with their answers.
    family : (n,) int
        Family of each row's domain. A family whose answers can't be read says nothing of plans.
    known : (n_model,) bool, optional
        Models whose training outcomes are their own; others are in no plan.
    """
    assert outcomes.answer is not None
    domain = weighed_domains(outcomes.answer, family)
    if n_plans < 1 or domain is None:
        return []
    rows = np.flatnonzero(domain >= 0)
    rows = rows[:: -(-len(rows) // MAX_ROWS)]
    code = np.unique(domain[rows], return_inverse=True)[1]
    share = np.equal.outer(np.arange(code.max() + 1), code)
    weight = share / share.sum(axis=1, keepdims=True)
    truth = outcomes.take(rows)
    cost, quality = weight @ truth.cost_usd, weight @ truth.quality
    price = prices_of(cost.mean(axis=0))
    best = (quality[:, :, None] - price * cost[:, :, None]).max(axis=1)
    usable = np.flatnonzero(np.ones(len(cost[0]), dtype=bool) if known is None else known)
    near = usable[near_hull(cost.mean(axis=0)[usable], quality.mean(axis=0)[usable], price)]
    assert truth.answer is not None
    truth = replace(truth, answer=informative(truth.answer, code))
    made, worth = [], []
    for plan, own in candidates(models, truth, near):
        when, ship = follow(plan, own, truth)
        q = weight @ truth.quality[np.arange(len(rows)), own[ship]]
        c = weight @ np.where(when > 0, truth.cost_usd[:, own], 0.0).sum(axis=1)
        made.append(plan)
        worth.append(np.maximum(q[:, None] - price * c[:, None] - best, 0.0).ravel())
    return [made[k] for k in _greedy(np.array(worth), n_plans)] if made else []


def _greedy(worth: Floats, n_plans: int) -> list[int]:
    """Return rows of ``worth``, (n_candidate, n_place), that together have the largest mean of the best."""
    chosen: list[int] = []
    covered = np.zeros(worth.shape[1])
    while len(chosen) < n_plans:
        mean = np.maximum(worth, covered).mean(axis=1)
        best = int(mean.argmax())
        if mean[best] - covered.mean() < MIN_GAIN:
            break
        chosen.append(best)
        covered = np.maximum(covered, worth[best])
    return chosen


def candidates(models: Sequence[str], outcomes: Outcomes, near: Ints) -> list[tuple[Plan, Ints]]:
    """Return every plan that may be chosen and is worthwhile on models ``near``, with its members as columns."""
    cost, quality = outcomes.cost_usd.mean(axis=0), outcomes.quality.mean(axis=0)
    made = []
    for make in (part for _, part in plans.items() if part.is_chosen):
        for probes in combinations(near.tolist(), make.n_probe):
            for last in near.tolist():
                own = np.array([*probes, last])
                if last not in probes and make.worthwhile(cost[own], quality[own]):
                    made.append((make([models[m] for m in probes], models[last]).fit(outcomes, own), own))
    return made


def weighed_domains(answer: Ints, family: Ints) -> Ints | None:
    """Return the code of the domain that each training row is weighed in, -1 for none; None where none can be."""
    _, code, size = np.unique(family, return_inverse=True, return_counts=True)
    code = np.where(size[code] < MIN_DOMAIN, len(size), code)
    read = np.bincount(code, (answer != UNREAD).mean(axis=1), len(size) + 1)
    readable = read >= READABLE * np.maximum(np.bincount(code, minlength=len(size) + 1), 1)
    if not readable[code].any():
        return None
    return np.where(readable[code], code, -1)


def informative(answer: Ints, domain: Ints) -> Ints:
    """Return answers with those of models that nearly always say the same in a domain made unreadable there."""
    out = answer.copy()
    for code in range(int(domain.max()) + 1):
        rows = np.flatnonzero(domain == code)
        for m in range(answer.shape[1]):
            if bits(answer[rows, m]) < MIN_BITS:
                out[rows, m] = UNREAD
    return out


def bits(answer: Ints) -> float:
    """Return the entropy of the answers that could be read, in bits.

    Examples
    --------
    >>> bits(np.array([0, 1, 0, 1, UNREAD])), bits(np.array([3, 3, 3]))
    (1.0, 0.0)
    """
    _, count = np.unique(answer[answer != UNREAD], return_counts=True)
    p = count / max(count.sum(), 1)
    return float(abs((p * np.log2(p)).sum()))


def prices_of(cost_usd: Floats) -> Floats:
    """Return prices of a dollar at which models of these mean costs may each be worth their money."""
    cheapest = cost_usd[cost_usd > 0].min(initial=np.inf)
    if not np.isfinite(cheapest):
        return np.zeros(1)
    return np.concatenate([[0.0], np.geomspace(0.01 / cost_usd.max(), 0.5 / cheapest, N_PRICE)])


def near_hull(cost_usd: Floats, quality: Floats, price: Floats, n_near: int = N_NEAR) -> Ints:
    """Return the models that lose least to the best one, each at its own best price: at most ``n_near``, ascending."""
    value = quality - price[:, None] * cost_usd
    lost = (value.max(axis=1, keepdims=True) - value).min(axis=0)
    return np.sort(np.argsort(lost, kind="stable")[:n_near])
