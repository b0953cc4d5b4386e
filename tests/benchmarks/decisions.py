"""Decisions per second and core: every router that does not learn, and DACR with many runs abreast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dacr.core.registry import routers
from dacr.core.rng import generator, keys_of
from dacr.estimates.features.cues import NAMES
from dacr.estimates.fitted import clairvoyant
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.routers.base import Router, Sweep, stack, with_setting
from dacr.types import Estimates, Floats, Outcomes, Runs, Training
from tests.benchmarks.clock import processor_seconds

TAU_S = 10.0
N_TRAIN = 5_000
N_FEATURE = 64
N_DOMAIN = 10


@dataclass(frozen=True)
class Problem:
    """A training part, and requests with what would happen on them: drawn, in the shape of an experiment's."""

    train: Training
    requests: Estimates
    truth: Outcomes


def make_problem(n: int, n_model: int = 11) -> Problem:
    """Draw a problem with ``n`` requests, continuous estimates (so that ties are rare) and ten domains."""
    train, happened = _part("train", N_TRAIN, n_model)
    return Problem(Training(train, happened, TAU_S), *_part("test", n, n_model))


def _part(name: str, n: int, n_model: int) -> tuple[Estimates, Outcomes]:
    rng = generator("benchmark problem", name)
    p = rng.uniform(0.05, 0.95, (n, n_model))
    quality = (rng.uniform(size=p.shape) < p).astype(np.float64)
    cost: Floats = np.geomspace(1e-5, 1e-2, n_model) * rng.uniform(0.5, 2.0, p.shape)
    latency = rng.lognormal(0.5, 0.8, p.shape)
    x = rng.standard_normal((n, N_FEATURE), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    requests = Estimates(
        key=keys_of(f"{name}{i}" for i in range(n)),
        features=x,
        domain=rng.integers(0, N_DOMAIN, n),
        p_raw=p,
        p=p,
        cost_hat=cost * rng.uniform(0.8, 1.2, p.shape),
        cost_upper=cost * 2,
        p_late=rng.uniform(0.0, 0.2, p.shape),
        arrival_s=np.arange(n, dtype=np.float64),
        models=tuple(f"model-{m:02d}" for m in range(n_model)),
        domains=tuple(f"domain-{d}" for d in range(N_DOMAIN)),
    )
    cues = rng.uniform(0, 1, (n, n_model, len(NAMES))).astype(np.float32)
    return requests, Outcomes(quality, cost, latency, latency > TAU_S, cues)


def static_names() -> list[str]:
    """Return every registered router that does not learn."""
    return [name for name in routers.names() if not routers.get(name).learns]


def learner_names() -> list[str]:
    """Return the learners whose rate is given: DACR."""
    return ["dacr"]


def fitted(name: str, problem: Problem, sweep: Sweep) -> tuple[Router, list[dict[str, Any]]]:
    """Return a router fitted on the training part, and its settings."""
    cls = routers.get(name)
    settings = cls.settings(sweep)
    router = cls(**settings[0])
    if cls.fit is not Router.fit:
        router.fit(problem.train)
    return router, settings


def static_rate(name: str, problem: Problem, repeats: int = 3) -> float:
    """Return decisions per second of one core: scores, tie-breaks, calls, and what came of them.

    Routers that look questions up in a predictor (``knn``, ``joint_ranker``) get its predictions, as in an experiment.
    """
    router, settings = fitted(name, problem, Sweep(lambdas=(20.0,)))
    router = with_setting(router, settings[len(settings) // 2])
    n = len(problem.requests)
    requests = clairvoyant(problem.requests, problem.truth) if router.clairvoyant else problem.requests
    runs = Runs(np.arange(n)[None, :], problem.requests.arrival_s, (1,))
    return _rate(n, lambda: play_static(router, requests, problem.truth, runs), repeats)


def learner_rate(name: str, problem: Problem, n_run: int = 100, repeats: int = 1) -> float:
    """Return decisions per second of one core with ``n_run`` runs (ten prices x orders) abreast, feedback included."""
    n = len(problem.requests)
    router, settings = fitted(name, problem, Sweep(lambdas=tuple(np.linspace(0, 900, 10).tolist())))
    per = max(1, n_run // len(settings))
    orders = np.stack([generator("benchmark order", k).permutation(n) for k in range(per)])
    order = np.tile(orders, (len(settings), 1))
    together = stack([with_setting(router, setting) for setting in settings for _ in range(per)])
    runs = Runs(order, problem.requests.arrival_s, tuple(range(len(order))))
    off = np.full(len(order), np.inf)
    plan = FeedbackPlan(delay=10, p_miss=0.3)

    def work() -> None:
        play_runs(together, problem.requests, problem.truth, runs, plan, Pacer(off, off, None), tau_s=TAU_S)

    return _rate(order.size, work, repeats)


def _rate(n: int, work: Callable[[], object], repeats: int) -> float:
    with threadpool_limits(1):
        return n / min(processor_seconds(work) for _ in range(repeats))


def rates(names: Iterable[str], problem: Problem, repeats: int = 3) -> dict[str, float]:
    """Return :func:`static_rate` by name."""
    return {name: static_rate(name, problem, repeats) for name in names}
