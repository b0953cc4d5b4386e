"""What a step of DACR makes of plans: what is believed of them, and what their calls teach beside ratings."""

from typing import Any

import numpy as np

from dacr.core.compiled import formula, kernel
from dacr.routers.dacr.agreement import CLIP, TRUST, beyond_fallback
from dacr.routers.dacr.posterior import add_sites, squash
from dacr.routers.dacr.spending import take_bill
from dacr.types import Floats, Ints

FLYING = 10.0
"""Calls of plans whose end is not known yet, from which on plans are taken to go on by a sd of the shift more often:
all of them share what is not known. Where answers take long, as for programs, much money can be under way."""


@kernel
def see_plans(
    run: Ints, row: Ints, domain: Ints, calls: Floats, state: Any, p: Floats, z: Floats, mean: Floats, upper: Floats
) -> None:
    """Write logits, and mean and upper costs, of the plans behind those of the models: all (n, n_arm).

    Parameters
    ----------
    run, row : (n,) int
        Runs, and rows of ``domain``.
    calls : (n_run, n_domain + 1, n_arm) float
        Calls so far.
    p, z : (n, n_arm) float
        What is believed of the models with their shifts, and their logits before these.
    """
    (own_z, first, rest, falls_back, pair, agrees, same_error, keeps, rescues, gap, _), shift, ended = state
    (n_plan, n_model), now = first.shape, shift[5]
    settles, goes_on, at_once, later, most = (
        np.empty(n_plan), np.empty(n_plan), np.empty(n_plan), np.empty(n_plan), np.empty(n_plan)
    )  # fmt: skip
    first_of, rest_of = np.empty((n_model, n_plan)), np.empty((n_model, n_plan))  # model by model: plans are vectors
    for m in range(n_model):
        for k in range(n_plan):
            first_of[m, k], rest_of[m, k] = first[k, m], rest[k, m]
    for i in range(len(run)):
        r, d = run[i], domain[row[i]]
        flying = -ended[r, d, 0]
        for k in range(n_plan):
            flying += calls[r, d, n_model + k]
        wary = min(max(flying / FLYING, 0.0), 1.0)
        for k in range(n_plan):
            settles[k] = squash(own_z[d, k] + now[r, d, 0, k], now[r, d, 1, k])
        for k in range(n_plan):
            goes_on[k] = squash(wary * now[r, d, 1, k] - own_z[d, k] - now[r, d, 0, k], now[r, d, 1, k])
            at_once[k], later[k], most[k] = 0.0, 0.0, 0.0
        for m in range(n_model):
            a_call, at_most = mean[i, m], upper[i, m]
            for k in range(n_plan):
                at_once[k] += first_of[m, k] * a_call
                later[k] += rest_of[m, k] * a_call
                most[k] += (first_of[m, k] + (1.0 if rest_of[m, k] > 0 else 0.0)) * at_most
        for k in range(n_plan):
            c = falls_back[k]
            rates = same_error[k], keeps[k], rescues[k], agrees[k], gap[k]
            z[i, n_model + k] = z[i, c] + _beside(settles[k], p[i, c], p[i, pair[k, 0]], p[i, pair[k, 1]], *rates)
            mean[i, n_model + k], upper[i, n_model + k] = at_once[k] + goes_on[k] * later[k], most[k]


@formula
def _beside(
    s: float,
    last: float,
    one: float,
    other: float,
    same_error: float,
    keeps: float,
    rescues: float,
    agrees: float,
    gap: float,
) -> float:
    """Return how far the logit of a plan that settles with probability ``s`` lies above its fallback's."""
    beyond = beyond_fallback(s, one, other, same_error, keeps, rescues)
    quality = min(max(last + gap + TRUST * agrees * beyond, CLIP), 1 - CLIP)
    last = min(max(last, CLIP), 1 - CLIP)
    return np.log(quality * (1 - last) / ((1 - quality) * last))


@kernel
def logit_of_plan(r: int, d: int, k: int, i: int, p: Floats, z: Floats, state: Any) -> float:
    """Return the logit of one plan before its shift; row ``i`` of ``p`` and ``z`` is of one request's models."""
    (own_z, _, _, falls_back, pair, agrees, same_error, keeps, rescues, gap, _), shift, _ = state
    s, c = squash(own_z[d, k] + shift[5][r, d, 0, k], shift[5][r, d, 1, k]), falls_back[k]
    rates = same_error[k], keeps[k], rescues[k], agrees[k], gap[k]
    return z[i, c] + _beside(s, p[i, c], p[i, pair[k, 0]], p[i, pair[k, 1]], *rates)


@kernel
def take_bill_of_plan(
    r: int, d: int, k: int, agreed: float, cost: float, predicted: Floats, plans: Any, costs: Any
) -> None:
    """Learn from a plan's bill: it is shared out among the models that were asked, as their costs were predicted."""
    _, first, rest, _, _, _, _, _, _, _, _ = plans
    n_model, later, total = first.shape[1], 0.0 if agreed == 1 else 1.0, 0.0
    for m in range(n_model):
        total += (first[k, m] + later * rest[k, m]) * predicted[m]
    for m in range(n_model):
        own = (first[k, m] + later * rest[k, m]) * predicted[m]
        take_bill(r, d, m, own, cost * own / max(total, 1e-300), costs)


@kernel
def take_agreement(run: Ints, domain: Ints, arm: Ints, agreed: Floats, state: Any) -> None:
    """Learn from plans that have ended: all ``(n,)``; ``agreed`` is NaN for models."""
    plans, shift, ended = state
    n, z, first = len(run), plans[0], plans[1]
    plan, own_z = np.zeros(n, np.int64), np.zeros(n)
    for i in range(n):
        if not np.isnan(agreed[i]):
            plan[i] = arm[i] - first.shape[1]
            own_z[i] = z[domain[i], plan[i]]
            ended[run[i], domain[i], 1] += agreed[i]
    add_sites(run, domain, plan, own_z, agreed, shift)
