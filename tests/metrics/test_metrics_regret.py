"""Regret by hand, and what must hold of it on any replay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.regret import BEST_FIXED, COLUMNS, ORACLE, cumulative, regret_frame, values
from dacr.types import Outcomes, Played

TRUTH = Outcomes(
    quality=np.array([[1.0, 0.5], [0.0, 1.0], [1.0, 0.0]]),
    cost_usd=np.array([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]]),
    latency_s=np.array([[1.0, 9.0], [1.0, 1.0], [1.0, 1.0]]),
    late=np.array([[False, True], [False, False], [False, False]]),
)


def replay(order: np.ndarray, model: np.ndarray, truth: Outcomes = TRUTH) -> Played:
    blank = np.zeros(order.shape)
    return Played(
        row=order,
        model=model,
        quality=truth.quality[order, model],
        cost_usd=truth.cost_usd[order, model],
        latency_s=truth.latency_s[order, model],
        attempts=np.ones(order.shape, dtype=np.int64),
        propensity=blank + 1,
        p_hat=blank,
        cost_hat=blank,
        p_late=blank,
    )


def test_by_hand():
    # Values at lambda 1 and price .5 of lateness: (.9, -.2), (-.1, .8), (.9, -.2): model 0 is the best fixed one.
    np.testing.assert_allclose(values(TRUTH, 1.0, 0.5), [[0.9, -0.2], [-0.1, 0.8], [0.9, -0.2]])
    order = np.array([[0, 1, 2], [2, 1, 0]])
    model = np.array([[1, 1, 0], [0, 1, 0]])
    frame = regret_frame(replay(order, model), TRUTH, 5.0, router="mine", setting="s", lambda_cost=1.0, lambda_late=0.5)
    assert tuple(frame.columns) == COLUMNS
    fixed, oracle = (frame[frame["reference"] == name] for name in (BEST_FIXED, ORACLE))
    # Run 1 is worth -.2, .8, .9; run 2 .9, .8, .9.
    np.testing.assert_allclose(fixed["regret_mean"], [(1.1 + 0.0) / 2, (0.2 - 0.9) / 2, (0.2 - 0.9) / 2], atol=1e-12)
    np.testing.assert_allclose(oracle["regret_mean"], [0.55, 0.55, 0.55], atol=1e-12)
    assert list(oracle["t"]) == [1, 2, 3]
    width = student.ppf(0.975, 1) * np.std([1.1, 0.0], ddof=1) / np.sqrt(2)
    assert oracle["hi"].iloc[0] - oracle["regret_mean"].iloc[0] == pytest.approx(width)


def test_each_run_has_its_own_world_and_absent_models() -> None:
    """In run 2 the second model is not there for row 0, and a request of row 1 is worth less."""
    order = np.array([[0, 1], [1, 0]])
    every = np.array([[[0.2, 0.9], [0.1, 0.8]], [[0.2, np.nan], [0.1, 0.3]]])
    value = np.array([[0.9, 0.8], [0.3, 0.2]])
    regret = cumulative(value, order, every)
    np.testing.assert_allclose(regret[ORACLE], 0.0, atol=1e-12)
    # Model 1 is the best fixed one in run 1 (.9, .8); in run 2 it is worth .3 and 0, and both have a mean of .15.
    np.testing.assert_allclose(regret[BEST_FIXED], [[0.0, 0.0], [0.1 - 0.3, 0.3 - 0.5]], atol=1e-12)


@pytest.mark.parametrize("protocol", ["price_change:model=gpt-4-1106-preview,factor=0.05,at=0.3",
                                      "degrade:model=gpt-4-1106-preview,factor=0.1,at=0.3",
                                      "late_joiner:model=gpt-4-1106-preview,cold=false"])  # fmt: skip
def test_what_a_protocol_does_is_in_the_references_too(protocol: str, sample_long: Path, tmp_path: Path) -> None:
    """A price cut makes calls worth more than the table says: regret against the oracle stays what can't fall."""
    experiment(sample_long, tmp_path, "--lambdas", "0,50", "--protocol", protocol)
    regret = pd.read_csv(tmp_path / "regret.csv")
    assert set(regret["policy"]) == {"dacr"} and set(regret["reference"]) == {BEST_FIXED, ORACLE}
    for _, own in regret[regret["reference"] == ORACLE].groupby("setting"):
        assert own["regret_mean"].iloc[0] >= -1e-9 and (np.diff(own["regret_mean"]) >= -1e-7).all()


def test_behind_replicas_there_is_none_and_the_reason_is_said(
    sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment(sample_long, tmp_path, "--lambdas", "0", "--replicas", "1", "--decision_info", "both")
    said, told = capsys.readouterr().out, json.loads((tmp_path / "manifest.json").read_text())["left_out"]
    assert set(told) == {"regret.csv", "perfect_information.csv"}
    for name, why in told.items():
        assert not (tmp_path / name).exists() and f"{name} is left out: {why}" in said


def experiment(data: Path, folder: Path, *flags: str) -> None:
    words = ["--data", str(data), "--results_dir", str(folder), "--routers", "cheapest,dacr", "--ood_holdout", "mmlu"]
    words += ["--seeds", "1", "--orders", "2", "--n_jobs", "1", *flags]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 0


def test_one_run_gets_no_interval_and_the_last_point_is_kept():
    n = 1234
    rng = generator("regret")
    truth = Outcomes(rng.uniform(size=(n, 3)), rng.uniform(size=(n, 3)), np.ones((n, 3)), np.zeros((n, 3), dtype=bool))
    order = rng.permutation(n)[None, :]
    frame = regret_frame(replay(order, np.zeros((1, n), dtype=np.int64), truth), truth, 5.0, router="p")
    assert frame[["lo", "hi"]].isna().all().all()
    oracle = frame[frame["reference"] == ORACLE]
    assert len(oracle) == 200 and oracle["t"].iloc[-1] == n and oracle["t"].is_monotonic_increasing
    total = truth.quality.max(axis=1).sum() - truth.quality[:, 0].sum()
    assert oracle["regret_mean"].iloc[-1] == pytest.approx(total)
    assert (np.diff(oracle["regret_mean"]) >= 0).all()


def test_the_references_have_no_regret_against_themselves():
    every = values(TRUTH)
    order = np.array([[2, 0, 1]])
    best = every[order, every.mean(axis=0).argmax()]
    assert not cumulative(best, order, every)[BEST_FIXED].any()
    assert not cumulative(every.max(axis=1)[order], order, every)[ORACLE].any()


def test_refusals():
    with pytest.raises(UserError, match="one shape"):
        cumulative(np.zeros((1, 2)), np.zeros((1, 3), dtype=np.int64), np.zeros((3, 2)))
    with pytest.raises(UserError, match="max_points"):
        regret_frame(replay(np.array([[0]]), np.array([[0]])), TRUTH, 5.0, router="p", max_points=0)
