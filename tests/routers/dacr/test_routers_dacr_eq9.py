"""The original's literal update rules, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.registry import routers
from dacr.types import UNKNOWN, Estimates, Feedback, Outcomes, Training

NAN = np.array([np.nan])


def request(p: float = 0.6, domain: int = 0) -> Estimates:
    both = np.array([[p, 0.5]])
    return Estimates(
        key=np.array([7], dtype=np.uint64),
        features=np.zeros((1, 1), dtype=np.float32),
        domain=np.array([domain]),
        p_raw=both,
        p=both,
        cost_hat=np.array([[0.01, 0.02]]),
        cost_upper=np.array([[0.01, 0.02]]),
        p_late=np.array([[0.1, 0.3]]),
        arrival_s=np.zeros(1),
        models=("a", "b"),
        domains=("d", "e"),
    )


def started(**params):
    ones = np.ones((1, 2))
    train = Training(request(), Outcomes(ones, ones, ones, ones > 2), 1.0)
    router = routers.get("dacr_eq9")(**params).fit(train)
    router.start(1, 2, np.zeros(1, dtype=np.uint64))
    return router


def news(asked: Estimates, quality=NAN, cost_usd=NAN, late=NAN) -> Feedback:
    zero = np.array([0])
    values = (np.asarray(value, dtype=float).reshape(1) for value in (cost_usd, late, quality))
    return Feedback(zero, zero, asked, zero, np.ones(1), *values)


def test_score_by_hand_without_feedback() -> None:
    router = started(lambda_cost=5.0, lambda_late=2.0)
    np.testing.assert_allclose(router.scores(request()), [[0.6 - 0.05 - 0.2, 0.5 - 0.1 - 0.6]])


def test_bias_moves_by_the_error_of_the_biased_prediction() -> None:
    router = started(cal_lr=0.1)
    router.observe(news(request(), quality=1.0))  # + 0.1 (1 - 0.6)
    np.testing.assert_allclose(router.beliefs(request()).p, [[0.64, 0.5]])
    router.observe(news(request(), quality=0.0))  # + 0.1 (0 - 0.64)
    np.testing.assert_allclose(router.beliefs(request()).p, [[0.576, 0.5]])
    np.testing.assert_allclose(router.beliefs(request(domain=1)).p, [[0.6, 0.5]])  # another domain
    np.testing.assert_allclose(router.beliefs(request(domain=UNKNOWN)).p, [[0.6, 0.5]])


def test_bias_is_clipped_to_a_half_and_the_probability_to_one() -> None:
    router = started(cal_lr=5.0)
    router.observe(news(request(p=0.2), quality=1.0))  # + 5 * 0.8 = 4 -> 0.5
    np.testing.assert_allclose(router.beliefs(request(p=0.2)).p[0, 0], 0.7)
    np.testing.assert_allclose(router.beliefs(request(p=0.9)).p[0, 0], 1.0)
    router.observe(news(request(p=0.9), quality=0.0))  # 0.5 - 5 -> -0.5
    np.testing.assert_allclose(router.beliefs(request(p=0.9)).p[0, 0], 0.4)


def test_duals_take_steps_that_are_not_normalised() -> None:
    router = started(budget_cost=0.001, budget_late=0.1, mu_lr=0.05)
    router.observe(news(request(), cost_usd=0.005, late=1.0))
    # mu_c = 0.05 * 0.004 = 0.0002, its price 0.2 a dollar; mu_l = 0.05 * 0.9 = 0.045, its price 0.45
    np.testing.assert_allclose(router.scores(request()), [[0.6 - 0.002 - 0.045, 0.5 - 0.004 - 0.135]])
    router.observe(news(request(), cost_usd=0.0, late=0.0))  # 0.0002 - 0.00005; 0.045 - 0.005
    np.testing.assert_allclose(router.scores(request()), [[0.6 - 0.0015 - 0.04, 0.5 - 0.003 - 0.12]])


def test_duals_never_fall_below_zero_and_budgets_not_given_are_off() -> None:
    router = started(budget_cost=0.01)
    router.observe(news(request(), cost_usd=0.0, late=1.0))
    np.testing.assert_allclose(router.scores(request()), [[0.6, 0.5]])


@pytest.mark.parametrize("told", ["quality", "cost"])
def test_what_is_not_told_moves_nothing(told: str) -> None:
    router = started(budget_cost=0.001)
    router.observe(news(request(), quality=1.0) if told == "quality" else news(request(), cost_usd=0.1, late=0.0))
    moved = router.beliefs(request()).p[0, 0] != 0.6
    assert moved == (told == "quality")
