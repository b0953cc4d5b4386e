"""The replay arena: recorded outcomes on a timestamped stream.

Arrival -> choose -> attempts -> feedback queue -> observe. Routers that do not learn are scored for the
whole stream in one call. A learner plays many independent runs (settings x seeds x orders) at once: one
loop over the positions of the stream, arrays over runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dacr.budget import Pacer
from dacr.rng import keyed_uniform, seed_for
from dacr.routers.base import Router, Terms
from dacr.types import SHED, Attempts, Estimates, Feedback, Floats, Ints, Keys, Outcomes


@dataclass(frozen=True)
class FeedbackPlan:
    """When and whether the quality of an answer is told.

    Attributes
    ----------
    delay : int
        Feedback on decision t is due just before decision t + 1 + delay.
    p_miss : float
        Probability that a rating never comes.
    """

    delay: int = 0
    p_miss: float = 0.0

    def rated(self, key: Keys, seed: Keys | int) -> np.ndarray:
        """Say which requests will be rated: a draw keyed by request and seed, the same for all routers."""
        told: np.ndarray = keyed_uniform(key, 1, seed)[:, 0] >= self.p_miss
        return told


@dataclass(frozen=True)
class Runs:
    """Independent runs over the same requests.

    Attributes
    ----------
    order : (n_run, n) int
        Row of the request at each position of a run's stream.
    arrival_s : (n,) float
        Arrival of each position, ascending: the slots are the same in every run, who fills them differs.
    seed : tuple of int
        Name of each run's randomness.
    """

    order: Ints
    arrival_s: Floats
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Played:
    """What happened: every array is (n_run, n), by position in the stream.

    ``model`` is the model whose answer was kept, ``SHED`` where none was; cost and latency are sums
    over all attempts; quality is that of the kept answer, 0 if none. ``p_hat``, ``cost_hat`` and
    ``p_late`` are what the router believed about the kept model when it decided.
    """

    row: Ints
    model: Ints
    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    attempts: Ints
    propensity: Floats
    p_hat: Floats
    cost_hat: Floats
    p_late: Floats
    mu_cost: Floats | None = None
    mu_late: Floats | None = None


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


def play_runs(
    router: Router,
    requests: Estimates,
    truth: Outcomes,
    runs: Runs,
    plan: FeedbackPlan,
    pacer: Pacer,
    tell_all: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Played:
    """Replay a stacked router position by position, all runs abreast.

    Parameters
    ----------
    router : Router
        Already fitted; made for ``n_run`` runs by :func:`dacr.routers.base.stack`.
    pacer : Pacer
        Budgets of the runs; one without budgets charges nothing.
    tell_all : bool
        Full information: after each decision the learner is told every model's outcome.

    Notes
    -----
    Before decision t a learner is told, in this order: cost and lateness of every call that has ended by
    the arrival of t, and the ratings that are due. What is still due at the end is delivered, in order.
    """
    n_run, n = runs.order.shape
    every = np.arange(n_run)
    seeds = np.array([seed_for("run", router.name, seed) for seed in runs.seed], dtype=np.uint64)
    missing_seeds = np.array([seed_for("missing feedback", seed) for seed in runs.seed], dtype=np.uint64)
    router.start(n_run, len(requests.domains), seeds)
    if not router.learns:
        router.seed = seeds
    out = {
        name: np.zeros((n_run, n))
        for name in ("quality", "cost_usd", "latency_s", "propensity", "p_hat", "cost_hat", "p_late")
    }
    model = np.zeros((n_run, n), dtype=np.int64)
    held = np.zeros((n_run, n), dtype=np.int64)
    late = np.zeros((n_run, n))
    rated = plan.rated(requests.key[runs.order].ravel(), np.repeat(missing_seeds, n)).reshape(n_run, n)
    ends = np.zeros((n_run, n), dtype=np.int64)
    duals = np.zeros((2, n_run, n))
    told_from = 0

    def tell(run: Ints, t: Ints, what: str) -> None:
        row, m = runs.order[run, t], model[run, t]
        if what == "end" and pacer.on:
            pacer.settle(run, held[run, t], out["cost_usd"][run, t], late[run, t])
        if not router.learns or (tell_all and what != "all"):
            return
        unknown = np.full(len(run), np.nan)
        router.observe(
            Feedback(
                run=run,
                t=t,
                requests=requests.take(row),
                model=m,
                propensity=out["propensity"][run, t],
                cost_usd=out["cost_usd"][run, t] if what == "end" else unknown,
                late=late[run, t] if what == "end" else unknown,
                quality=out["quality"][run, t] if what == "rating" else unknown,
                all_outcomes=truth.take(row) if what == "all" else None,
            )
        )

    for t in range(n + plan.delay + 1):
        if t <= n and t > 0:
            told_from = _tell_ended(ends, t, told_from, n, tell)
        s = t - 1 - plan.delay
        if 0 <= s < n and router.learns and not tell_all:
            due = np.flatnonzero(rated[:, s])
            if len(due):
                tell(due, np.full(len(due), s), "rating")
        if t >= n:
            continue
        row = runs.order[:, t]
        now = requests.take(row).with_(arrival_s=np.full(n_run, runs.arrival_s[t]))
        choice = router.decide(now, Terms(*pacer.prices(), pacer.open_to) if pacer.on else None)
        m = choice.model
        model[:, t] = m
        held[:, t] = pacer.reserve(choice.beliefs, m)
        duals[0, :, t], duals[1, :, t] = pacer.mu_cost, pacer.mu_late
        out["quality"][:, t] = truth.quality[row, m]
        out["cost_usd"][:, t] = truth.cost_usd[row, m]
        out["latency_s"][:, t] = truth.latency_s[row, m]
        late[:, t] = truth.late[row, m]
        out["propensity"][:, t] = choice.propensity
        out["p_hat"][:, t] = choice.beliefs.p[every, m]
        out["cost_hat"][:, t] = choice.beliefs.cost_hat[every, m]
        out["p_late"][:, t] = choice.beliefs.p_late[every, m]
        finish = runs.arrival_s[t] + out["latency_s"][:, t]
        ends[:, t] = np.maximum(np.searchsorted(runs.arrival_s, finish, side="left"), t + 1)
        if tell_all:
            tell(every, np.full(n_run, t), "all")
        tick()
    on = pacer.on
    return Played(
        row=runs.order,
        model=model,
        attempts=np.ones((n_run, n), dtype=np.int64),
        mu_cost=duals[0] if on else None,
        mu_late=duals[1] if on else None,
        **out,
    )


def _tell_ended(ends: Ints, t: int, start: int, n: int, tell: Callable[[Ints, Ints, str], None]) -> int:
    """Tell about calls that ended before decision ``t`` (all that remain, where ``t`` is the end)."""
    window = ends[:, start:t]
    if t == n:
        for s in np.flatnonzero((window >= t).any(axis=0)):
            run = np.flatnonzero(window[:, s] >= t)
            tell(run, np.full(len(run), start + s), "end")
    else:
        run, position = np.nonzero(window == t)
        if len(run):
            tell(run, start + position, "end")
    while start < t and (ends[:, start] <= t).all():
        start += 1
    return start
