"""A small routing problem whose outcomes are known, and the conditions under which a router is to keep its contract."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import generator, keys_of
from dacr.estimates.answers.read import UNREAD
from dacr.estimates.features.cues import NAMES
from dacr.estimates.fitted import clairvoyant
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.combined import parse
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.routers.base import Reference, Router, Sweep, stack, with_setting
from dacr.types import Bools, Estimates, Outcomes, Played, Runs, Training
from dacr.workload.queueing import FifoQueues

TAU_S = 5.0
SWEEP = Sweep(lambdas=(0.0, 20.0), arguments={"dacr_eq9": {"budget_cost": 0.004, "budget_late": 0.3}})


@dataclass(frozen=True)
class Problem:
    """Training part, test requests, and what would happen on them."""

    train: Training
    requests: Estimates
    truth: Outcomes


@cache
def standard() -> Problem:
    """Return the problem of the contract of routers."""
    return make_problem()


@cache
def everything() -> Bools:
    """Return a mask (n, n_model) of every outcome of the standard problem's test part; not to be written to."""
    mask: Bools = np.ones(standard().truth.quality.shape, dtype=bool)
    mask.flags.writeable = False
    return mask


def make_problem(n_train: int = 150, n_test: int = 60, n_model: int = 4) -> Problem:
    """Three training domains and one unseen one; estimates carry some signal."""
    train = _part("train", n_train, n_model, (0, 1, 2))
    requests, truth = _part("test", n_test, n_model, (1, 3))
    return Problem(Training(train[0], train[1], TAU_S), requests, truth)


def _part(name: str, n: int, n_model: int, domains: tuple[int, ...]) -> tuple[Estimates, Outcomes]:
    rng = generator("contract problem", name)
    p = rng.uniform(0.05, 0.95, (n, n_model))
    better = np.linspace(-0.1, 0.1, n_model)  # what is dearer
    quality = np.round(np.clip(p + better + rng.normal(0, 0.3, p.shape), 0, 1) * 4) / 4
    cost = np.geomspace(1e-4, 1e-2, n_model) * rng.uniform(0.5, 2.0, (n, n_model))
    latency = rng.uniform(0.5, 8.0, (n, n_model))
    requests = Estimates(
        key=keys_of([f"{name}{i}" for i in range(n)]),
        features=rng.normal(size=(n, 5)).astype(np.float32),
        domain=np.array(domains)[rng.integers(0, len(domains), n)],
        p_raw=p,
        p=p,
        cost_hat=cost * rng.uniform(0.8, 1.2, cost.shape),
        cost_upper=cost * 2,
        p_late=rng.uniform(0.05, 0.6, p.shape),
        arrival_s=np.arange(n, dtype=float) * 0.4,
        models=tuple(f"model{m}" for m in range(n_model)),
        domains=("a", "b", "c", "unseen"),
    )
    cues = rng.uniform(0, 1, (n, n_model, len(NAMES))).astype(np.float32)
    # Right answers are alike, and wrong ones often; some cannot be read.
    answer = np.where(quality >= 0.5, 0, rng.integers(1, 4, p.shape))
    answer = np.where(rng.random(p.shape) < 0.1, UNREAD, answer + 10 * np.arange(n)[:, None])
    return requests, Outcomes(quality, cost, latency, latency > TAU_S, cues, answer=answer)


def fitted_points(part: type[Router] | str, train: Training) -> list[Router]:
    """Fit a router, given or by its registered name, and return it at every point of its frontier."""
    cls: type[Router] = routers.get(part) if isinstance(part, str) else part
    points = cls.settings(SWEEP)
    first = cls(**points[0]).fit(train)
    return [with_setting(first, point) for point in points]


def play_points(
    points: list[Router],
    requests: Estimates,
    truth: Outcomes,
    seeds: tuple[int, ...] = (1,),
    plan: FeedbackPlan | None = None,
) -> list[Played]:
    """Play routers of one class on the test part, each point by itself: one result per point."""
    if points[0].clairvoyant:
        requests = clairvoyant(requests, truth)
        for point in points:
            if isinstance(point, Reference):
                point.foresee(requests, truth)
    n = len(requests)
    runs = Runs(np.tile(np.arange(n), (len(seeds), 1)), requests.arrival_s, seeds)
    if not points[0].learns:
        return [play_static(point, requests, truth, runs) for point in points]
    return [play_learner([point], requests, truth, seeds, plan) for point in points]


def play_learner(
    points: list[Router],
    requests: Estimates,
    truth: Outcomes,
    seeds: tuple[int, ...] = (1,),
    plan: FeedbackPlan | None = None,
) -> Played:
    """Play learners abreast: points x seeds."""
    n, n_run = len(requests), len(points) * len(seeds)
    runs = Runs(np.tile(np.arange(n), (n_run, 1)), requests.arrival_s, seeds * len(points))
    pacer = Pacer(np.full(n_run, 0.004), np.full(n_run, 0.3), n)
    together = stack([point for point in points for _ in seeds])
    plan = plan or FeedbackPlan(delay=3, p_miss=0.2)
    return play_runs(together, requests, truth, runs, plan, pacer, tell_all=together.full_information)


def altered(truth: Outcomes, where: Bools) -> Outcomes:
    """Return outcomes that differ in every respect where the mask (n, n_model) is set."""
    latency = np.where(where, 11.0 - truth.latency_s, truth.latency_s)
    cues = truth.cues
    if cues is not None:
        cues = np.where(where[:, :, None], 1.0 - cues, cues).astype(np.float32)
    return replace(
        truth,
        quality=np.where(where, 1.0 - truth.quality, truth.quality),
        cost_usd=np.where(where, truth.cost_usd * 7.0, truth.cost_usd),
        latency_s=latency,
        late=latency > TAU_S,
        cues=cues,
        answer=None if truth.answer is None else np.where(where, truth.answer + 1, truth.answer),
    )


def incomplete(truth: Outcomes, share: float, stand_in: float | None = None) -> Outcomes:
    """Return outcomes of which a share was never recorded, at least one of each request; the same ones every time.

    Parameters
    ----------
    stand_in : float, optional
        What stands in the place of all that is missing; by default what is there.
    """
    draw = generator("contract problem", "missing").random(truth.quality.shape)
    recorded = (draw >= share) | (draw == draw.max(axis=1, keepdims=True))
    if stand_in is None:
        return replace(truth, recorded=recorded)
    names = ("quality", "cost_usd", "latency_s")
    put = {name: np.where(recorded, getattr(truth, name), stand_in) for name in names}
    cues = None if truth.cues is None else np.where(recorded[:, :, None], truth.cues, np.float32(stand_in))
    late: Bools = np.where(recorded, truth.late.astype(bool), stand_in > TAU_S)
    answer = None if truth.answer is None else np.where(recorded, truth.answer, int(stand_in))
    return replace(truth, **put, late=late, cues=cues, recorded=recorded, answer=answer)


@dataclass(frozen=True)
class Conditions:
    """What a stream may do beside ratings that come late: budgets, queues, protocols.

    Attributes
    ----------
    budget_cost, budget_late : float
    replicas : int
        Of every model; 0 is no queue.
    protocol : str
        As on the command line.
    missing : float
        Share of the test outcomes that were never recorded.
    """

    name: str
    budget_cost: float = np.inf
    budget_late: float = np.inf
    replicas: int = 0
    protocol: str = ""
    missing: float = 0.0

    def __str__(self) -> str:
        return self.name


CONDITIONS = (
    Conditions("money", budget_cost=0.002),
    Conditions("lateness", budget_late=0.3),
    Conditions("queues", replicas=1),
    Conditions(
        "protocols", protocol="delayed:by=3,degrade:model=model3,price_change:model=model0,announced=true,poisoned"
    ),
    Conditions("incomplete", budget_cost=0.002, missing=0.4),
    Conditions("all", 0.002, 0.3, 2, "late_joiner:model=model2,cold=false,delayed:by=1,sparse:share=0.8"),
)


def play_in(
    conditions: Conditions,
    points: list[Router],
    requests: Estimates,
    truth: Outcomes,
    delay: int = 3,
    seeds: tuple[int, ...] = (1,),
) -> Played:
    """Play routers of one class abreast under conditions, position by position, whether or not they learn."""
    n, n_run = len(requests), len(points) * len(seeds)
    if conditions.missing:
        truth = incomplete(truth, conditions.missing)
    runs = Runs(np.tile(np.arange(n), (n_run, 1)), requests.arrival_s, seeds * len(points))
    pacer = Pacer(np.full(n_run, conditions.budget_cost), np.full(n_run, conditions.budget_late), n)
    together = stack([_told(point, conditions) for point in points for _ in seeds])
    return play_runs(
        together,
        requests,
        truth,
        runs,
        FeedbackPlan(delay=delay, p_miss=0.0),
        pacer,
        tell_all=together.full_information,
        queues=FifoQueues(n_run, np.full(len(requests.models), conditions.replicas)) if conditions.replicas else None,
        tau_s=TAU_S,
        effects=parse(conditions.protocol).effects(n, requests.models, 1),
    )


def _told(point: Router, conditions: Conditions) -> Router:
    return with_setting(point, {"budget_cost": conditions.budget_cost}) if point.budget == "own" else point
