"""Do nominal 95 % intervals cover 95 %? Measured on the generated benchmark, re-running the learner each time.

The population is the held-out part of a large generated benchmark; a replicate draws its queries from it.
Static routers are functions of the request, so their truth is the population's mean. A learner's truth is what it
gives on average over samples of queries and over stream orders: the mean over all replicates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from dacr.core.cache import Cache
from dacr.core.registry import routers
from dacr.core.rng import generator
from dacr.data.prepare import prepare_routerbench
from dacr.data.splits import split_queries
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.metrics import intervals, panel, resample
from dacr.metrics.frontier import lambda_frontier_area
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.routers.base import stack
from dacr.types import Estimates, Outcomes, Runs, Training

HELD_OUT = ("hellaswag", "grade-school-math")
LAMBDAS = (0.0, 20.0, 100.0, 1000.0)
TAU_S = 5.0


@dataclass(frozen=True)
class Population:
    train: Training
    requests: Estimates
    truth: Outcomes


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    path = tmp_path_factory.mktemp("coverage") / "sample.parquet"
    prepare_routerbench(sample=8000, seed=11, out=str(path))
    table = load(path)
    table = table.with_latency(generator("coverage latency").lognormal(0.5, 0.7, table.quality.shape))
    split = split_queries(list(table.qid), list(table.domain), HELD_OUT)
    estimator = Estimator(table, split.train, split.test, np.arange(len(split.test)) * 1.0, TAU_S, Cache(None))
    train = Training(estimator.training("logistic", "base_slope"), estimator.outcomes(split.train), TAU_S)
    requests = estimator.testing("logistic", "base_slope")
    slim = replace(requests, features=np.zeros((len(requests), 1), dtype=np.float32))  # dacr reads none of them
    return Population(train, slim, estimator.outcomes(split.test))


def as_panel(values: dict[str, np.ndarray], depends: bool) -> panel.Panel:
    """A panel from blocks (n_order, n_query, n_setting)."""
    n_order, n_query, n_setting = next(iter(values.values())).shape
    settings = pd.DataFrame({"policy": "p", "lambda_cost": range(n_setting), "setting": range(n_setting)})
    names = np.arange(n_query).astype(object)
    return panel.Panel(settings, np.full(n_setting, depends), names, names, tuple(range(n_order)), values)


@pytest.mark.slow
def test_static_intervals_cover(population: Population) -> None:
    n_replicate, n_query = 2000, 500
    requests, truth = population.requests, population.truth
    n = len(requests)
    whole = Runs(np.arange(n)[None, :], requests.arrival_s, (0,))
    made = routers.get("predict_optimize")
    played = [play_static(made(lambda_cost=v).fit(population.train), requests, truth, whole) for v in LAMBDAS]
    quality = np.stack([one.quality[0] for one in played], axis=1)
    cost = np.stack([one.cost_usd[0] for one in played], axis=1)
    single = truth.cost_usd, truth.quality
    area = lambda_frontier_area(cost.mean(0), quality.mean(0), single[0].mean(0), single[1].mean(0))
    target = {
        "quality": quality.mean(0)[1],
        "cost": cost.mean(0)[1],
        "difference": quality.mean(0)[1] - quality.mean(0)[2],
        "area": area,
    }
    hits = dict.fromkeys(target, 0)
    rng = generator("coverage static")
    for i in range(n_replicate):
        rows = rng.integers(0, n, n_query)
        block = as_panel({"quality": quality[rows][None], "cost": cost[rows][None]}, False)
        draws = resample.draw(n_query, 1, 1000, seed=i)
        q, c = intervals.means(block, "quality", draws), intervals.means(block, "cost", draws)
        one = as_panel({"cost": single[0][rows][None], "quality": single[1][rows][None]}, False)
        range_ = intervals.means(one, "cost", draws), intervals.means(one, "quality", draws)
        got = {
            "quality": q.draws[1],
            "cost": c.draws[1],
            "difference": q.draws[1] - q.draws[2],
            "area": intervals.frontier_areas(block, c, q, range_)[1].draws[0],
        }
        for name, values in got.items():
            low, high = intervals.percentile(values[None])
            hits[name] += bool(low[0] <= target[name] <= high[0])
    coverage = {name: hit / n_replicate for name, hit in hits.items()}
    print(coverage)
    assert all(0.93 <= value <= 0.97 for value in coverage.values()), coverage


@pytest.mark.slow
def test_learner_intervals_cover_and_naive_ones_do_not(population: Population) -> None:
    n_replicate, n_order, n_query, lam = 500, 10, 300, 20.0
    requests, truth = population.requests, population.truth
    rng = generator("coverage learner")
    pick = rng.integers(0, len(requests), (n_replicate, n_query))
    order = rng.permuted(np.tile(np.arange(n_query), (n_replicate, n_order, 1)), axis=2)
    row = np.take_along_axis(np.repeat(pick[:, None], n_order, axis=1), order, axis=2)
    router = routers.get("dacr")(lambda_cost=lam).fit(population.train)
    flat = row.reshape(-1, n_query)
    played = np.concatenate([replayed(router, population, flat[k : k + 1000], k) for k in range(0, len(flat), 1000)])
    played = played.reshape(row.shape)
    quality = np.empty(order.shape)
    np.put_along_axis(quality, order, played, axis=2)
    best = int(np.argmax(truth.quality.mean(0) - lam * truth.cost_usd.mean(0)))
    static = np.broadcast_to(truth.quality[pick, best][:, None], quality.shape)
    mean, gap = quality.mean(axis=(1, 2)).mean(), (quality - static).mean(axis=(1, 2)).mean()
    kinds = ("mean", "difference", "naive mean", "naive difference")
    hits = dict.fromkeys(kinds, 0)
    for i in range(n_replicate):
        draws = resample.draw(n_query, n_order, 1000, seed=i)
        both = np.stack([quality[i], static[i]], axis=2)
        block = as_panel({"quality": both}, True)
        made = intervals.means(block, "quality", draws).draws
        once = as_panel({"quality": both[:1]}, False)  # pretends that one run of a learner is a static router
        naive = intervals.means(once, "quality", resample.draw(n_query, 1, 1000, seed=i)).draws
        for name, values, target in (
            ("mean", made[0], mean),
            ("difference", made[0] - made[1], gap),
            ("naive mean", naive[0], mean),
            ("naive difference", naive[0] - naive[1], gap),
        ):
            low, high = intervals.percentile(values[None])
            hits[name] += bool(low[0] <= target <= high[0])
    coverage = {name: hit / n_replicate for name, hit in hits.items()}
    print(coverage)
    # What is to be cited: a difference.
    assert 0.93 <= coverage["difference"] <= 0.97, coverage
    # One run, resampled as if it were a static router, fails at both.
    assert coverage["naive mean"] < 0.90 and coverage["naive difference"] < 0.90, coverage
    # A learner's mean also moves with what its queries teach it, which no resampling of recorded decisions shows;
    # in a difference it cancels.
    assert coverage["naive mean"] < coverage["mean"] < 0.95, coverage


def replayed(router: object, population: Population, row: np.ndarray, first: int) -> np.ndarray:
    """Play independent runs of a learner abreast; return quality by position: (n_run, n)."""
    n_run, n = row.shape
    runs = Runs(row, np.arange(n) * 1.0, tuple(range(first, first + n_run)))
    free = np.full(n_run, np.inf)
    pacer = Pacer(free, free, horizon=n, eta=0.05)
    many = stack([router] * n_run)  # type: ignore[list-item]
    return play_runs(many, population.requests, population.truth, runs, FeedbackPlan(10, 0.3), pacer).quality
