"""Replay routers that do not learn: all requests advance together, attempt by attempt."""

from __future__ import annotations

import numpy as np

from dacr.rng import seed_for
from dacr.routers.base import Router
from dacr.runs import Played, Runs
from dacr.types import SHED, Attempts, Estimates, Ints, Outcomes


def play_static(router: Router, requests: Estimates, truth: Outcomes, runs: Runs) -> Played:
    """Replay a router that does not learn: scored once per run for the whole stream.

    Parameters
    ----------
    requests, truth
        Rows in table order; ``runs.order`` points into them.
    """
    played = []
    for order, seed in zip(runs.order, runs.seed, strict=True):
        router.seed = seed_for("run", router.name, seed) % 2**63
        by_row = _attempt_all(router, requests, truth)
        played.append({name: values[order] for name, values in by_row.items()})
    stacked = {name: np.stack([one[name] for one in played]) for name in played[0]}
    return Played(row=runs.order, **stacked)


def _attempt_all(router: Router, requests: Estimates, truth: Outcomes) -> dict[str, np.ndarray]:
    """Let every request try models until an answer is kept; all requests advance together."""
    n = len(requests)
    rows = np.arange(n)
    kept = np.full(n, SHED)
    cost, latency = np.zeros(n), np.zeros(n)
    attempts = np.zeros(n, dtype=np.int64)
    propensity = np.ones(n)
    beliefs = requests
    if not router.several_attempts:
        choice = router.decide(requests)
        propensity, beliefs = choice.propensity, choice.beliefs
        first = choice.model
    active = rows
    tried: list[Attempts] = []
    while len(active):
        ask = requests.take(active) if len(active) < n else requests
        model = first if not router.several_attempts else router.propose(ask, tried)
        called = model != SHED
        active, model = active[called], model[called]
        if not len(active):
            break
        seen = _call(truth, active, model)
        cost[active] += seen.cost_usd
        latency[active] += seen.latency_s
        attempts[active] += 1
        if not router.several_attempts:
            kept[active] = model
            break
        good = router.accept(ask.take(called), seen)
        kept[active[good]] = model[good]
        going = np.flatnonzero(called)[~good]
        active = active[~good]
        tried = [attempt.take(going) for attempt in tried] + [seen.take(~good)]
        if len(tried) > len(requests.models):
            raise ValueError(f"{router.name} proposed more calls than there are models")
    own = (rows, np.maximum(kept, 0))
    answered = kept != SHED
    return {
        "model": kept,
        "quality": np.where(answered, truth.quality[own], 0.0),
        "cost_usd": cost,
        "latency_s": latency,
        "attempts": attempts,
        "propensity": propensity,
        "p_hat": np.where(answered, beliefs.p[own], np.nan),
        "cost_hat": np.where(answered, beliefs.cost_hat[own], np.nan),
        "p_late": np.where(answered, beliefs.p_late[own], np.nan),
    }


def _call(truth: Outcomes, row: Ints, model: Ints) -> Attempts:
    """Make calls: what the caller sees of them, never their quality."""
    cues = None if truth.cues is None else truth.cues[row, model]
    return Attempts(model, truth.cost_usd[row, model], truth.latency_s[row, model], cues)
