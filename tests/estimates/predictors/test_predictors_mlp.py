"""The network on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.estimates.predictors.mlp import MlpPredictor


def exclusive_or(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quality depends on the product of two features: .9 or .1 for one model, the reverse for the other."""
    x = np.random.default_rng(seed).standard_normal((n, 6)).astype(np.float32)
    high = x[:, 0] * x[:, 1] > 0
    return x, np.column_stack([np.where(high, 0.9, 0.1), np.where(high, 0.1, 0.9)])


def test_it_learns_what_no_linear_model_can() -> None:
    (x, y), (x_new, y_new) = exclusive_or(3000, 0), exclusive_or(500, 1)
    network, linear = (cls().fit(x, y).predict(x_new) for cls in (MlpPredictor, LogisticPredictor))
    assert np.abs(network - y_new).mean() < 0.2 < 0.35 < np.abs(linear - y_new).mean()


def test_the_same_rows_give_the_same_network_whatever_the_scale_of_features() -> None:
    x, y = exclusive_or(400, 2)
    made = MlpPredictor(epochs=5).fit(x, y).predict(x)
    np.testing.assert_array_equal(made, MlpPredictor(epochs=5).fit(x, y).predict(x))
    np.testing.assert_allclose(made, MlpPredictor(epochs=5).fit(1024 * x, y).predict(1024 * x), atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_one_row_and_one_model_are_enough(n: int) -> None:
    x, y = exclusive_or(n, 3)
    p = MlpPredictor(epochs=2).fit(x, y[:, :1]).predict(x)
    assert p.shape == (n, 1) and ((p >= 0) & (p <= 1)).all()
