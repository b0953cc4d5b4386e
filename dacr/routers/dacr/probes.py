"""What a plan's rating says of its probes.

A rating of a plan also says something of both probes, which it asks whatever comes of it: one that gave the answer
that was shipped is as good, and one that gave another is right as often as in training, where the shipped answer was
wrong or was right. So models that are asked by plans are known sooner. Where models hardly ever agree, such as on
programs, another answer says nothing, and nothing is concluded from it.

So a call of a plan is also worth what it may teach of its probes: where something is concluded from its rating, what
trying each probe is worth is added to what trying the plan is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dacr.core.compiled import formula, kernel
from dacr.routers.dacr.posterior import add_sites
from dacr.types import Bools, Floats, Ints

DIFFERS = (0.3, 5.0), (0.05, 5.0)
"""P(a probe's answer is right, though another was shipped), where that was wrong and where it was right, before any
data; and how many rows of training that counts for."""

LEAST_AGREED, LEAST_SHARE = 2.0, 0.2
"""So many plans of a domain, and such a share of them, must have settled before other answers say something."""


def share_of(values: Floats, weight: Floats, prior: tuple[float, float]) -> Floats:
    """Return weighted means of columns, shrunk towards a prior mean that counts for so much weight."""
    mean, count = prior
    return ((values * weight).sum(axis=0) + mean * count) / (weight.sum(axis=0) + count)


def right_though_other(quality: Floats, pair: Ints, other: Bools, often: Floats, shipped: Floats) -> Floats:
    """Return P(a probe is right, though it gave another answer than was shipped), (n_plan, 2, 2), as training says.

    Parameters
    ----------
    quality : (n, n_arm) float
    pair : (n_plan, 2) int
    other : (n, n_plan, 2) bool
    often, shipped : (n, n_plan) float
        How often plans settle in the row's family, which is its weight; and the quality of the shipped answer. The
        last axis of the result is where that was wrong, and where it was right.
    """
    out = np.empty((len(pair), 2, 2))
    for k, (what, prior) in enumerate(zip((1.0 - shipped, shipped), DIFFERS, strict=True)):
        for j in range(2):
            out[:, j, k] = share_of(quality[:, pair[:, j]], often * other[:, :, j] * what, prior)
    return out


@formula
def says_something(ended: float, settled: float) -> bool:
    """Say whether something is concluded from other answers, given how many plans have ended and how many settled."""
    return settled >= max(LEAST_AGREED, LEAST_SHARE * ended)


@kernel
def add_worth_of_probes(row: Ints, domain: Ints, state: Any, worth: Floats) -> None:
    """Add what trying its probes is worth to what trying each plan is: ``worth`` is (n_run, n_arm).

    Parameters
    ----------
    row : (n_run,) int
        Rows of ``domain``: each run's request.
    state : tuple
        Of plans.
    """
    (_, first, _, _, pair, agrees, _, _, _, _, _), _, ended = state
    n_model = first.shape[1]
    for r in range(len(row)):
        told = ended[r, domain[row[r]]]
        if says_something(told[0], told[1]):
            for k in range(len(pair)):
                worth[r, n_model + k] += agrees[k] * (worth[r, pair[k, 0]] + worth[r, pair[k, 1]])


@kernel
def rate(
    run: Ints, code: Ints, arm: Ints, own_z: Floats, rating: Floats, same: Floats, z: Floats, state: Any, quality: Any
) -> None:
    """Add the sites of ratings, and of what those of plans say of their two probes: all (n,), ``z`` (n, n_arm).

    Parameters
    ----------
    same : (n, 2) float
        Whether the probes gave the answer that was shipped; NaN for models.
    quality : tuple
        State of the shift of the qualities.
    """
    (_, first, _, _, pair, agrees, _, _, _, _, differs), _, ended = state
    n, n_model = len(run), first.shape[1]
    runs, codes, arms = np.zeros(3 * n, np.int64), np.zeros(3 * n, np.int64), np.zeros(3 * n, np.int64)
    logits, y = np.zeros(3 * n), np.full(3 * n, np.nan)
    for i in range(n):
        k, told, at = arm[i] - n_model, ended[run[i], code[i]], 3 * i
        runs[at : at + 3], codes[at : at + 3] = run[i], code[i]
        arms[at], logits[at], y[at] = arm[i], own_z[i], rating[i]
        if k < 0 or agrees[k] == 0 or not says_something(told[0], told[1]):
            continue
        for j in range(2):
            m, as_good = pair[k, j], rating[i]
            if same[i, j] == 0:
                as_good = rating[i] * differs[k, j, 1] + (1 - rating[i]) * differs[k, j, 0]
            arms[at + 1 + j], logits[at + 1 + j], y[at + 1 + j] = m, z[i, m], as_good
    add_sites(runs, codes, arms, logits, y, quality)
