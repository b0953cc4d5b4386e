from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from dacr.core.rng import generator
from dacr.estimates.calibrators.newton import cross_entropy, logistic, slope_and_offsets


def test_logistic_equals_sklearn_without_prior() -> None:
    rng = generator("newton")
    x = rng.normal(size=(300, 2))
    y = (rng.uniform(size=300) < expit(0.7 * x[:, 0] - 0.2 * x[:, 1] + 0.4)).astype(float)
    reference = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(x, y)
    found = logistic(np.column_stack([x, np.ones(300)]), y, np.zeros(3), np.full(3, 1e4))
    np.testing.assert_allclose(found, [*reference.coef_[0], reference.intercept_[0]], atol=1e-4)


def test_fractional_labels_equal_weighted_pairs() -> None:
    rng = generator("newton fractions")
    x = rng.normal(size=(120, 1))
    y = rng.integers(0, 5, 120) / 4
    twice = np.concatenate([x, x])
    reference = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(
        twice, np.repeat([1, 0], 120), sample_weight=np.concatenate([y, 1 - y])
    )
    found = logistic(np.column_stack([x, np.ones(120)]), y, np.zeros(2), np.full(2, 1e4))
    np.testing.assert_allclose(found, [reference.coef_[0, 0], reference.intercept_[0]], atol=1e-4)


def test_single_offset_by_hand() -> None:
    # One success, prior N(0, 1): the mode solves o = 1 - sigma(o), whose root is 0.40105...
    found = slope_and_offsets(np.zeros(1), np.ones(1), np.zeros(1, dtype=int), 1, 0.0, 1.0, 1.0)
    o = found.offset[0]
    assert abs(o - (1 - expit(o))) < 1e-9
    assert abs(o - 0.40105) < 1e-4
    p = expit(o)
    np.testing.assert_allclose(found.sd, 1 / np.sqrt(1 + p * (1 - p)))


def test_slope_and_offsets_equals_a_general_optimiser() -> None:
    rng = generator("arrow")
    group = rng.integers(0, 4, 200)
    v = rng.normal(size=200)
    y = np.clip(expit(0.8 * v + np.array([-1, 0, 0.5, 2])[group]) + rng.normal(0, 0.2, 200), 0, 1)

    def loss(w: np.ndarray) -> float:
        return cross_entropy(0.3 + w[0] * v + w[1:][group], y) + w[0] ** 2 / 8 + (w[1:] @ w[1:]) / 2

    reference = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    found = slope_and_offsets(v, y, group, 4, 0.3, 2.0, 1.0)
    np.testing.assert_allclose([found.slope, *found.offset], reference.x, atol=1e-4)
    columns = np.column_stack([v, np.eye(4)[group]])
    p = expit(0.3 + columns @ [found.slope, *found.offset])
    curvature = columns.T @ (columns * (p * (1 - p))[:, None]) + np.diag([0.25, 1, 1, 1, 1])
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(np.linalg.inv(curvature)))[1:], rtol=1e-6)


def test_negative_slope_becomes_zero() -> None:
    v = np.linspace(-2, 2, 50)
    y = (v < 0).astype(float)
    found = slope_and_offsets(v, y, np.zeros(50, dtype=int), 1, 0.0, 1.0, 1.0)
    assert found.slope == 0.0 and found.free_slope < -0.5
    assert abs(found.offset[0]) < 1e-9
