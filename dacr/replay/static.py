"""Replay routers that do not learn: all requests advance together, attempt by attempt, block by block."""

from typing import Any

import numpy as np

from dacr.core.rng import seed_for
from dacr.estimates.answers.read import UNREAD
from dacr.replay.protocols.effects import Effects
from dacr.routers.base import Cascade, Router
from dacr.routers.terms import called_of, only
from dacr.types import SHED, Attempts, Bools, Estimates, Ints, Outcomes, Played, Runs

BLOCK_CELLS = 2**16
"""Requests x models that advance together: what a processor's cache holds of a few matrices. Memory beside the
estimates is that of one block, whatever the number of requests and models."""

_KINDS = {"model": np.int64, "attempts": np.int64}
_NAMES = ("model", "quality", "cost_usd", "latency_s", "attempts", "propensity", "p_hat", "cost_hat", "p_late")


def play_static(
    router: Router, requests: Estimates, truth: Outcomes, runs: Runs, effects: Effects | None = None
) -> Played:
    """Replay a router that does not learn: scored once per run for the whole stream.

    Parameters
    ----------
    requests, truth
        Rows in table order; ``runs.order`` points into them.
    effects : Effects, optional
        What a protocol does along the stream, for routers that try several models; the others are then walked
        position by position (:mod:`dacr.replay`).
    """
    n = len(requests)
    step = n if router.whole_stream else max(1, BLOCK_CELLS // len(requests.models))
    played: dict[str, Any] = {name: np.empty(runs.order.shape, dtype=_KINDS.get(name, np.float64)) for name in _NAMES}
    by_row = {name: np.empty(n, dtype=values.dtype) for name, values in played.items()}
    alike = isinstance(router, Cascade) and not router.draws and effects is None and truth.recorded is None
    for k, (order, seed) in enumerate(zip(runs.order, runs.seed, strict=True)):
        router.seed = seed_for("run", router.name, seed) % 2**63
        seen, had, there = requests, truth, truth.recorded
        if effects is not None:
            position = np.argsort(order)
            seen, had = effects.estimates(position, requests), effects.over(order, truth)
            there = effects.there(order, truth.recorded)
        for start in range(0, 0 if alike and k else n, step):
            block = slice(start, start + step)
            open_to = None if there is None else there[block]
            done = _attempt_all(router, seen.take(block), had.take(block), open_to)
            for name, values in done.items():
                by_row[name][block] = values
        for name, values in by_row.items():
            np.take(values, order, out=played[name][k])
    return Played(row=runs.order, **played)


def _attempt_all(
    router: Router, requests: Estimates, truth: Outcomes, there: Bools | None = None
) -> dict[str, np.ndarray]:
    """Let every request try models until an answer is kept; all requests advance together.

    A model that is not ``there``, (n, n_model), gives no answer, at once and for nothing; where the last of a router's
    models is not, the last answer that was had is kept; where none of them was, it makes one call as other routers do.
    """
    if not isinstance(router, Cascade):
        return _one_attempt(router, requests, truth, there)
    n = len(requests)
    rows = np.arange(n)
    kept = np.full(n, SHED)
    last = np.full(n, SHED)
    missed = np.zeros(n, dtype=bool)
    cost, latency = np.zeros(n), np.zeros(n)
    attempts = np.zeros(n, dtype=np.int64)
    active = rows
    tried: list[Attempts] = []
    while len(active):
        ask = requests.take(active) if len(active) < n else requests
        model = router.propose(ask, tried)
        called = model != SHED
        at_the_end = active[~called & missed[active]]
        kept[at_the_end] = last[at_the_end]
        active, model = active[called], model[called]
        if not len(active):
            break
        seen = call(truth, active, model)
        if there is not None:
            missed[active] = ~there[active, model]
            seen = _without(seen, missed[active])
            last[active] = np.where(missed[active], last[active], model)
        cost[active] += seen.cost_usd
        latency[active] += seen.latency_s
        attempts[active] += ~missed[active]
        if len(active) < len(called):
            tried = [attempt.take(called) for attempt in tried]
        tried.append(seen)
        place = router.keep(ask.take(called), tried)
        models = np.stack([attempt.model for attempt in tried], axis=1)
        shipped = np.where(place >= 0, models[np.arange(len(place)), place], SHED)
        if there is not None:
            shipped = np.where(there[active, shipped], shipped, SHED)
        kept[active] = shipped
        active = active[shipped == SHED]
        tried = [attempt.take(shipped == SHED) for attempt in tried]
        if len(tried) > len(requests.models):
            raise ValueError(f"{router.name} proposed more calls than there are models")
    own = (rows, np.maximum(kept, 0))
    answered = kept != SHED
    done = {
        "model": kept,
        "quality": np.where(answered, truth.quality[own], router.fallback or 0.0),
        "cost_usd": cost,
        "latency_s": latency,
        "attempts": attempts,
        "propensity": np.ones(n),
        "p_hat": np.where(answered, requests.p[own], np.nan),
        "cost_hat": np.where(answered, requests.cost_hat[own], np.nan),
        "p_late": np.where(answered, requests.p_late[own], np.nan),
    }
    alone = np.flatnonzero(missed & (attempts == 0))
    if there is not None and len(alone):
        for name, values in _one_attempt(router, requests.take(alone), truth.take(alone), there[alone]).items():
            done[name][alone] = values
    return done


def _one_attempt(
    router: Router, requests: Estimates, truth: Outcomes, there: Bools | None = None
) -> dict[str, np.ndarray]:
    """Call one model for each request: the path of most routers, without what several attempts need."""
    choice = router.decide(requests, None if there is None else only(there, None))
    model, beliefs = choice.model, choice.beliefs
    if there is not None:
        model = called_of(there, model)
    n, n_model = truth.quality.shape
    cell = np.arange(0, n * n_model, n_model) + np.maximum(model, 0)
    called = model != SHED
    all_called = bool(called.all())

    calls = 1 if truth.paths is None else truth.paths.of_arms("calls", np.arange(n), model, n_model)

    def own(matrix: np.ndarray, otherwise: float) -> np.ndarray:
        values = matrix.reshape(-1).take(cell)
        return values if all_called else np.where(called, values, otherwise)

    return {
        "model": model,
        "quality": own(truth.quality, router.fallback or 0.0),
        "cost_usd": own(truth.cost_usd, 0.0),
        "latency_s": own(truth.latency_s, 0.0),
        "attempts": np.where(called, calls, 0).astype(np.int64),
        "propensity": choice.propensity,
        "p_hat": own(beliefs.p, np.nan),
        "cost_hat": own(beliefs.cost_hat, np.nan),
        "p_late": own(beliefs.p_late, np.nan),
    }


def _without(seen: Attempts, missed: Bools) -> Attempts:
    """Return attempts that cost nothing and show nothing where the model was not there."""
    cues = None if seen.cues is None else np.where(missed[:, None], np.float32(0), seen.cues)
    cost, latency = (np.where(missed, 0.0, values) for values in (seen.cost_usd, seen.latency_s))
    answer = None if seen.answer is None else np.where(missed, UNREAD, seen.answer)
    return Attempts(seen.model, cost, latency, cues, answer)


def call(truth: Outcomes, row: Ints, model: Ints) -> Attempts:
    """Make calls: what the caller sees of them, never their quality."""
    cues = None if truth.cues is None else truth.cues[row, model]
    answer = None if truth.answer is None else truth.answer[row, model]
    return Attempts(model, truth.cost_usd[row, model], truth.latency_s[row, model], cues, answer)
