"""A stream of three queries and two models, replayed and measured by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dacr.core.registry import routers
from dacr.experiment.writer import ResultsWriter
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.entry import Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.routers.base import Learner, Router
from dacr.routers.terms import Terms
from dacr.types import Estimates, Outcomes, Played, Runs

P = np.array([[0.9, 0.8], [0.2, 0.7], [0.5, 0.6]])
QUALITY = np.array([[1.0, 0.0], [0.0, 0.75], [0.25, 1.0]])
COST = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]) * 1e-3
LATENCY = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 12.0]])
TAU = 4.5


class Greedy(Router):
    """The highest p, at 50 quality per USD."""

    name = "greedy"

    def scores(self, requests):
        return requests.p - 50.0 * requests.cost_hat


class GreedyLearner(Learner, Greedy):
    def start(self, n_run, n_domain, seeds):
        self.seed = seeds

    def observe(self, feedback):
        pass


def stream() -> tuple[Estimates, Outcomes, Runs]:
    requests = Estimates(
        key=np.arange(3, dtype=np.uint64),
        features=np.zeros((3, 1), dtype=np.float32),
        domain=np.array([0, 0, 1]),
        p_raw=P,
        p=P,
        cost_hat=COST,
        cost_upper=COST,
        p_late=np.full((3, 2), 0.25),
        arrival_s=np.array([0.0, 1.0, 2.0]),
        models=("cheap", "dear"),
        domains=("mbpp", "winogrande"),
    )
    return requests, Outcomes(QUALITY, COST, LATENCY, LATENCY > TAU), Runs(np.array([[2, 0, 1]]), np.arange(3.0), (1,))


def played_by(kind: type[Router]) -> Played:
    requests, truth, runs = stream()
    if kind.learns:
        off = np.array([np.inf])
        return play_runs(kind(), requests, truth, runs, FeedbackPlan(), Pacer(off, off, 3))
    return play_static(kind(), requests, truth, runs)


@pytest.mark.parametrize("kind", [Greedy, GreedyLearner])
def test_decisions_by_hand(kind: type[Router]) -> None:
    """Scores .85 .55 | .10 .40 | .35 .25: cheap, dear, cheap; the stream's order is 2, 0, 1."""
    played = played_by(kind)
    assert played.model.tolist() == [[0, 0, 1]]
    assert played.quality.tolist() == [[0.25, 1.0, 0.75]]
    assert played.cost_usd.tolist() == [[3e-3, 1e-3, 6e-3]]
    assert played.latency_s.tolist() == [[3.0, 1.0, 5.0]]
    assert played.p_hat.tolist() == [[0.5, 0.9, 0.7]]
    assert played.attempts.tolist() == [[1, 1, 1]] and played.propensity.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize("kind", [Greedy, GreedyLearner])
def test_metrics_by_hand(kind: type[Router], tmp_path: Path) -> None:
    qid, domain = np.array(["a", "b", "c"], dtype=object), np.array(["mbpp", "mbpp", "winogrande"], dtype=object)
    writer = ResultsWriter(tmp_path, qid, domain, ("cheap", "dear"), TAU)
    point = Point("", routers.get("predict_optimize")(lambda_cost=50.0))  # names the setting alone
    writer.add("greedy", point, (1,), played_by(kind))
    metrics, by_seed, by_domain = writer.close()
    row = metrics.iloc[0]
    assert (row["policy"], row["lambda_cost"], row["n"], row["n_seed"]) == ("greedy", 50.0, 3, 1)
    assert row["mean_quality"] == pytest.approx(2 / 3)
    assert row["mean_cost"] == pytest.approx(10e-3 / 3)
    assert row["mean_latency_s"] == pytest.approx(3.0)
    assert row["p95_latency_s"] == pytest.approx(3.0 + 0.9 * 2.0)  # linear between the 2nd and the 3rd
    assert row["p99_latency_s"] == pytest.approx(3.0 + 0.98 * 2.0)
    assert row["slo_violation_rate"] == pytest.approx(1 / 3)
    assert len(by_seed) == 1
    here = by_domain.set_index("domain")
    assert here["mean_quality"].to_dict() == pytest.approx({"mbpp": 0.875, "winogrande": 0.25})
    assert here["mean_cost"].to_dict() == pytest.approx({"mbpp": 3.5e-3, "winogrande": 3e-3})
    assert here["slo_violation_rate"].to_dict() == pytest.approx({"mbpp": 0.5, "winogrande": 0.0})
    decisions = pq.read_table(tmp_path / "decisions.parquet").to_pandas()
    assert decisions["t"].tolist() == [0, 1, 2] and decisions["qid"].tolist() == ["c", "a", "b"]
    assert decisions["model"].tolist() == ["cheap", "cheap", "dear"]
    assert decisions["domain"].tolist() == ["winogrande", "mbpp", "mbpp"]
    assert decisions["slo_violation"].tolist() == [0.0, 0.0, 1.0]


def test_a_shadow_price_moves_the_choice() -> None:
    """At 150 quality per USD more, dear loses query 1: .10 - .3 against .40 - .9."""
    requests, _, _ = stream()

    def choose(price: list[float]) -> list[int]:
        return Greedy().decide(requests, Terms(np.array(price)[:, None], np.zeros((3, 1)))).model.tolist()

    assert choose([0.0, 0.0, 0.0]) == [0, 1, 0]
    assert choose([0.0, 150.0, 0.0]) == [0, 0, 0]


def test_a_model_that_is_not_open_is_not_called() -> None:
    requests, _, _ = stream()
    free = np.zeros((3, 1))
    shut = np.array([[False, True], [True, True], [False, True]])
    assert Greedy().decide(requests, Terms(free, free, lambda _: shut)).model.tolist() == [1, 1, 1]
