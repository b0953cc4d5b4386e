"""A router may decide to make no call: also where the stream is walked position by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.contracts.problem import TAU_S, Problem, make_problem
from dacr.core import cli
from dacr.core.registry import routers
from dacr.core.rng import generator
from dacr.experiment import run
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import Learner, Router
from dacr.routers.terms import Choice
from dacr.types import SHED, Feedback, Played, Runs
from dacr.workload.queueing import FifoQueues

SHARE = np.uint64(3)


class Shedder(Router):
    """Calls the dearest model it may, and none for a third of the requests."""

    name = "shedder"

    def scores(self, requests):
        return requests.cost_hat

    def decide(self, requests, terms=None):
        choice = super().decide(requests, terms)
        return Choice(
            np.where(requests.key % SHARE == 0, SHED, choice.model), np.full(len(requests), 0.6), choice.beliefs
        )


class LearningShedder(Learner, Shedder):
    """The same, and it writes down what it is told."""

    name = "learning_shedder"

    def start(self, n_run, n_domain, seeds):
        self.seed = seeds
        self.news: list[Feedback] = []

    def observe(self, feedback):
        self.news.append(feedback)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem()


def played_by(router: Router, problem: Problem, queues: bool, late: float = np.inf) -> Played:
    n = len(problem.requests)
    order = np.stack([generator("order", k).permutation(n) for k in range(2)])
    return play_runs(
        router,
        problem.requests,
        problem.truth,
        Runs(order, problem.requests.arrival_s, (1, 2)),
        FeedbackPlan(delay=2),
        Pacer(np.full(2, 0.003), np.full(2, late), n),
        queues=FifoQueues(2, np.ones(4, dtype=np.int64)) if queues else None,
        tau_s=TAU_S,
    )


@pytest.mark.parametrize("queues", [False, True])
@pytest.mark.parametrize("late", [np.inf, 0.4])
def test_no_call_costs_nothing_gives_nothing_and_tells_nothing(problem: Problem, queues: bool, late: float) -> None:
    router = LearningShedder()
    played = played_by(router, problem, queues, late)
    shed = problem.requests.key[played.row] % SHARE == 0
    assert 0.1 < shed.mean() < 0.6
    assert ((played.model == SHED) == shed).all() and (played.attempts == ~shed).all()
    for values in (played.quality, played.cost_usd, played.latency_s):
        assert (values[shed] == 0).all()
    for values in (played.p_hat, played.cost_hat, played.p_late):
        assert np.isnan(values[shed]).all() and np.isfinite(values[~shed]).all()
    assert (played.propensity == 0.6).all()
    called = (played.row[~shed], played.model[~shed])
    np.testing.assert_array_equal(played.cost_usd[~shed], problem.truth.cost_usd[called])
    np.testing.assert_array_equal(played.quality[~shed], problem.truth.quality[called])
    for told in ("cost_usd", "quality"):
        known = [(run, t) for news in router.news for run, t, value in
                 zip(news.run, news.t, getattr(news, told), strict=True) if np.isfinite(value)]  # fmt: skip
        assert sorted(known) == [tuple(place) for place in np.argwhere(~shed)]


def test_what_is_shed_takes_no_replica(problem: Problem) -> None:
    """The calls that were made wait as if the others had never been asked for."""
    played = played_by(Shedder(), problem, queues=True)
    for k in range(2):
        queues = FifoQueues(1, np.ones(4, dtype=np.int64))
        for t in np.flatnonzero(played.model[k] != SHED):
            own = (played.row[k, [t]], played.model[k, [t]])
            service = problem.truth.latency_s[own]
            wait = queues.start(np.zeros(1, dtype=np.int64), own[1], problem.requests.arrival_s[[t]], service)
            assert played.latency_s[k, t] == pytest.approx((service + wait)[0])


def test_an_experiment_under_a_budget(sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routers.names()
    monkeypatch.setattr(routers, "_parts", dict(routers.items()))  # later tests don't know it
    routers.register("shedder")(Shedder)
    routers.register("learning_shedder")(LearningShedder)
    words = ["--data", sample_long, "--results_dir", tmp_path / "r", "--routers", "shedder,learning_shedder"]
    words += ["--ood_holdout", "mmlu", "--seeds", "1", "--orders", "2", "--budget_cost", "1e-3", "--n_jobs", "1"]
    assert cli.run(run.run_experiment, [str(word) for word in words], settings_class=ExperimentSettings) == 0
    made = pd.read_parquet(tmp_path / "r" / "decisions.parquet")
    assert set(made["setting"]) == {"", "budget_cost=0.001"}
    shed = made["model"].isna()
    share = shed.groupby([made["policy"], made["setting"].astype(str)], observed=True).mean()
    assert len(share) == 4 and share.between(0.2, 0.45).all()
    assert (made.loc[shed, ["quality", "cost", "latency_s", "attempts"]] == 0).all().all()
