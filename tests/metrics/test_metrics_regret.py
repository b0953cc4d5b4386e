"""Regret by hand, and what must hold of it on any replay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from dacr.errors import UserError
from dacr.metrics.regret import BEST_FIXED, COLUMNS, ORACLE, cumulative, regret_frame, values
from dacr.replay import Played
from dacr.rng import generator
from dacr.types import Outcomes

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
    frame = regret_frame(replay(order, model), TRUTH, 5.0, policy="mine", setting="s", lambda_cost=1.0, lambda_late=0.5)
    assert tuple(frame.columns) == COLUMNS
    fixed, oracle = (frame[frame["reference"] == name] for name in (BEST_FIXED, ORACLE))
    # Run 1 is worth -.2, .8, .9; run 2 .9, .8, .9.
    np.testing.assert_allclose(fixed["regret_mean"], [(1.1 + 0.0) / 2, (0.2 - 0.9) / 2, (0.2 - 0.9) / 2], atol=1e-12)
    np.testing.assert_allclose(oracle["regret_mean"], [0.55, 0.55, 0.55], atol=1e-12)
    assert list(oracle["t"]) == [1, 2, 3]
    width = student.ppf(0.975, 1) * np.std([1.1, 0.0], ddof=1) / np.sqrt(2)
    assert oracle["hi"].iloc[0] - oracle["regret_mean"].iloc[0] == pytest.approx(width)


def test_one_run_gets_no_interval_and_the_last_point_is_kept():
    n = 1234
    rng = generator("regret")
    truth = Outcomes(rng.uniform(size=(n, 3)), rng.uniform(size=(n, 3)), np.ones((n, 3)), np.zeros((n, 3), dtype=bool))
    order = rng.permutation(n)[None, :]
    frame = regret_frame(replay(order, np.zeros((1, n), dtype=np.int64), truth), truth, 5.0, policy="p")
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
        regret_frame(replay(np.array([[0]]), np.array([[0]])), TRUTH, 5.0, policy="p", max_points=0)
