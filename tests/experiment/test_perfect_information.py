"""The value of perfect information: by hand, and as --decision_info both writes and shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.rng import keys_of
from dacr.experiment.perfect_information import PerfectInformation, said
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.entry import Entry, Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.play import play
from dacr.replay.protocols.models import PriceChange
from dacr.replay.world import World
from dacr.report.make import make_figures
from dacr.routers.predict_optimize import PredictOptimizeRouter
from dacr.types import Estimates, Outcomes, Runs

FLAGS = ("--ood_holdout", "grade-school-math", "--lambdas", "0,100", "--seeds", "1", "--orders", "3", "--n_jobs", "1")


def world() -> tuple[Estimates, Outcomes, Runs]:
    """Two queries, two models, played in the order 1, 0."""
    estimates = Estimates(
        key=keys_of(["a", "b"]),
        features=np.zeros((2, 1), dtype=np.float32),
        domain=np.zeros(2, dtype=np.int64),
        p_raw=np.array([[0.5, 0.9]] * 2),
        p=np.array([[0.5, 0.9]] * 2),
        cost_hat=np.array([[0.0, 0.1]] * 2),
        cost_upper=np.array([[0.0, 0.1]] * 2),
        p_late=np.zeros((2, 2)),
        arrival_s=np.arange(2.0),
        models=("m0", "m1"),
        domains=("d",),
    )
    latency = np.array([[1.0, 1.0], [1.0, 20.0]])
    truth = Outcomes(np.array([[0.4, 1.0], [0.3, 0.8]]), np.array([[0.0, 0.1], [0.0, 0.6]]), latency, latency > 10)
    return estimates, truth, Runs(np.array([[1, 0]]), np.arange(2.0), (1,))


def test_by_hand() -> None:
    """A dollar at 1 and a late answer at .5.

    On estimates model 1 (.9 - .1) beats model 0 (.5). In truth it costs .6 and is late on query 1: there .9 - .6 - .5
    is less than the .5 of model 0. On query 0 it costs .1 and is in time. Qualities are (.4, 1.0) and (.3, .8).
    """
    estimates, truth, runs = world()
    there = World(FeedbackPlan(0, 0.0), 10.0, None, 0.05, truth, runs, runs)
    router = PredictOptimizeRouter(lambda_cost=1.0, lambda_late=0.5)
    entry = Entry("predict_optimize", (Point("lambda_cost=1", router),), estimates)
    perfect = PerfectInformation(10.0)
    perfect.add(entry, there, play(entry, there))
    [row] = perfect.frame().to_dict("records")
    assert row["value_predicted"] == pytest.approx(((1.0 - 0.1) + (0.8 - 0.6 - 0.5)) / 2)
    assert row["value_perfect"] == pytest.approx(((1.0 - 0.1) + 0.3) / 2)
    gains = np.array([0.0, 0.6])
    assert row["gain"] == pytest.approx(gains.mean())
    half = 12.706204736 * gains.std(ddof=1) / np.sqrt(2)  # Student's quantile with one degree of freedom
    assert (row["gain_low"], row["gain_high"]) == pytest.approx((0.3 - half, 0.3 + half))
    assert (row["quality_gain"], row["cost_change"], row["late_change"]) == pytest.approx((-0.25, -0.3, -0.5))
    assert "+0.3000 over 1 settings" in said(perfect.frame())[1]


@pytest.mark.parametrize("announced", [False, True])
def test_the_price_of_the_moment_is_known(announced: bool) -> None:
    """From the second position on, that of query 0, model 1 costs ten times as much: 1.0, where .9 - 1 is less than .5.

    On query 1, the first, it costs .6 still: .9 - .6 is less than .5 too. So model 0 serves both, worth .3 and .4.
    On estimates model 1 does: at .1 a call, but for query 0 where the change is announced.
    """
    estimates, truth, runs = world()
    effects = PriceChange(model="m1", at=0.5, factor=10.0, announced=announced).effects(2, estimates.models, 1)
    there = World(FeedbackPlan(0, 0.0), 99.0, None, 0.05, truth, runs, runs, effects=effects)
    entry = Entry("predict_optimize", (Point("", PredictOptimizeRouter(lambda_cost=1.0)),), estimates)
    perfect = PerfectInformation(99.0)
    perfect.add(entry, there, play(entry, there))
    [row] = perfect.frame().to_dict("records")
    assert row["value_perfect"] == pytest.approx((0.3 + 0.4) / 2)
    assert row["value_predicted"] == pytest.approx((0.8 - 0.6 + (0.4 if announced else 1.0 - 1.0)) / 2)


def run(data: Path, folder: Path, *flags: str) -> None:
    words = ["--data", str(data), "--results_dir", str(folder), *FLAGS, *flags]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 0


def test_both_ways_in_one_experiment(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("--routers", "random,static,dacr,dacr_full,oracle")
    run(sample_long, tmp_path / "both", *names, "--decision_info", "both", "--budget_cost", "1e-3")
    printed = capsys.readouterr().out
    assert "value of perfect information" in printed and "CLAIRVOYANT" in printed
    run(sample_long, tmp_path / "plain", *names, "--budget_cost", "1e-3")
    run(sample_long, tmp_path / "oracle", *names, "--budget_cost", "1e-3", "--decision_info", "oracle")
    both, plain, oracle = (pd.read_csv(tmp_path / name / "metrics.csv") for name in ("both", "plain", "oracle"))
    pd.testing.assert_frame_equal(both, plain)
    frame = pd.read_csv(tmp_path / "both" / "perfect_information.csv")
    assert set(frame["policy"]) == {"random", "static", "dacr"}, "what knows the truth anyway gains nothing by it"
    assert set(frame.groupby("policy").size()) == {2, 3}  # random has one setting; each has a budget
    merged = frame.merge(oracle.fillna({"setting": ""}), on=["policy", "setting"], how="left", suffixes=("", "_o"))
    known = merged[merged["setting"].notna()]
    lambda_late = np.where(known["policy"] == "random", 0.0, 1.0)
    value = known["mean_quality"] - known["lambda_cost"].fillna(0) * known["mean_cost"]
    np.testing.assert_allclose(known["value_perfect"], value - lambda_late * known["slo_violation_rate"], atol=1e-9)
    static = frame[(frame["policy"] == "static") & frame["budget_cost"].isna()]
    assert (static["gain"] > 0.1).all() and (static["gain_low"] > 0).all(), "training knows nothing of these latencies"
    assert (frame[(frame["policy"] == "random") & frame["budget_cost"].isna()]["gain"] == 0).all()

    make_figures(results_dir=str(tmp_path / "both"), figures=["quality_cost"])
    page = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "Value of perfect information" in page and "CLAIRVOYANT" in page
    make_figures(results_dir=str(tmp_path / "plain"), figures=["quality_cost"])
    assert "Value of perfect information" not in (tmp_path / "plain" / "report.html").read_text(encoding="utf-8")
