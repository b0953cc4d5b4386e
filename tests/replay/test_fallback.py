"""Abstention: a request that no arm is worth is left unanswered, for nothing, at the fallback's value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.contracts import router_stress
from dacr.contracts.problem import make_problem, play_points, standard
from dacr.core import cli
from dacr.core.registry import routers
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.regret import ORACLE, regret_frame
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import Router
from dacr.types import SHED, Played, Runs

VALUE = 0.7


def played_by(name: str, fallback: float | None = VALUE) -> Played:
    """Play one point of a registered router on the contract's problem."""
    point = router_stress.fitted(routers.get(name))[0]
    point.fallback = fallback
    [played] = play_points([point], standard().requests, standard().truth)
    return played


@pytest.mark.parametrize("name", [n for n in routers.names() if not routers.get(n).needs_plans])
def test_what_is_not_answered_costs_nothing_and_is_worth_the_fallback(name: str) -> None:
    played = played_by(name)
    shed = played.model == SHED
    assert (played.quality[shed] == VALUE).all()
    if not routers.get(name).several_attempts:
        assert (played.cost_usd[shed] == 0).all() and (played.attempts[shed] == 0).all()
        assert np.isnan(played.p_hat[shed]).all() and (played.propensity[shed] > 0).all()
    weighs = hasattr(routers.get(name)(), "lambda_cost") and not routers.get(name).several_attempts
    assert not shed.any() or weighs or routers.get(name).several_attempts


def test_a_router_answers_where_an_arm_is_worth_more() -> None:
    router, requests = router_stress.fitted(routers.get("predict_optimize"))[0], standard().requests
    worth = router.scores(requests).max(axis=1)
    np.testing.assert_array_equal(played_by("predict_optimize").model[0] == SHED, worth <= VALUE)


@pytest.mark.parametrize("name", ["dacr", "linucb", "static"])
def test_a_better_fallback_leaves_more_unanswered(name: str) -> None:
    share = [(played_by(name, value).model == SHED).mean() for value in (0.0, 0.5, 0.8, 1.0)]
    assert share == sorted(share) and share[0] < share[-1] == 1


def test_dacr_tries_what_it_does_not_yet_believe_in() -> None:
    """All models are better than training lets believe: a router that never asks would never see it."""
    problem = make_problem(n_test=400)
    truth = replace(problem.truth, quality=np.ones_like(problem.truth.quality))
    router = routers.get("dacr")(explore=1.0).fit(problem.train)
    router.fallback = 0.75
    runs = Runs(np.arange(400)[None], problem.requests.arrival_s, (1,))
    pacer = Pacer(np.full(1, np.inf), np.full(1, np.inf), 400)
    played = play_runs(router, problem.requests, truth, runs, FeedbackPlan(delay=3, p_miss=0.0), pacer)
    unseen = played.model[0][problem.requests.domain == 3]
    assert (unseen[:20] == SHED).any() and (unseen[-50:] != SHED).all()


def test_the_price_of_money_knows_that_not_to_answer_is_free() -> None:
    requests = standard().requests
    priced = []
    for fallback in (None, 0.6):
        pacer = Pacer(np.full(1, 3e-4), np.full(1, np.inf), 60, fallback=fallback)
        for i in range(32):
            one = requests.take([i])
            pacer.reprice_cost(one.p, one)
        priced.append(float(pacer.prices()[0][0, 0]))
    assert 0 < priced[1] != priced[0]


def test_no_router_is_better_than_the_oracle_that_may_abstain_too() -> None:
    played, truth = played_by("dacr", 0.9), standard().truth
    frame = regret_frame(played, truth, np.inf, router="dacr", fallback=0.9)
    steps = frame[frame["reference"] == ORACLE]["regret_mean"].to_numpy()
    assert (np.diff(steps, prepend=0.0) >= -1e-12).all()


def test_the_flag(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--data", sample_long, "--ood_holdout", "grade-school-math", "--routers", "dacr,cheapest,cascade")
    more = ("--lambdas", "0", "--orders", "2", "--budget_cost", "0.001", "--n_jobs", "1", "--draw", "false")

    def run(value: str) -> int:
        words = [str(word) for word in (*flags, *more, "--results_dir", tmp_path / "r", "--fallback_value", value)]
        return cli.run(run_experiment, words, settings_class=ExperimentSettings)

    assert run("1.5") == 2
    assert "--fallback_value: expected a share from 0 to 1, got '1.5'" in capsys.readouterr().err
    assert run("0.7") == 0
    metrics = pd.read_csv(tmp_path / "r" / "metrics.csv").set_index(["policy", "setting"])
    decisions = pd.read_parquet(tmp_path / "r" / "decisions.parquet")
    shed = decisions["model"].isna()
    assert (decisions.loc[shed, "quality"] == 0.7).all() and (decisions.loc[shed, "cost"] == 0).all()
    assert (metrics["shed_rate"].xs("cheapest") == 0).all() and (metrics["shed_rate"].xs("dacr") > 0).all()
    assert (tmp_path / "r" / "acceptance.csv").exists()


def test_by_default_every_request_is_answered() -> None:
    assert Router.fallback is None and ExperimentSettings().fallback_value is None
    assert (played_by("dacr", None).model != SHED).all()
