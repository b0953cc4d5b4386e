"""The low-rank predictor against the fits that it is made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dacr.core.rng import generator
from dacr.estimates.predictors import low_rank
from dacr.estimates.predictors.low_rank import LowRankPredictor


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = generator("low rank")
    x = rng.normal(size=(500, 6)).astype(np.float32)
    factors = x[:, :2].astype(float) @ rng.normal(size=(2, 30))
    return x, np.clip(0.5 + 0.05 * factors + 0.1 * rng.normal(size=(500, 30)), 0, 1)


def test_with_all_directions_it_is_ridge_regression(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    centred = x.astype(float) - x.astype(float).mean(axis=0)
    alpha = 10.0 * np.square(centred).sum() / x.size
    expected = np.clip(Ridge(alpha).fit(x.astype(float), y).predict(x.astype(float)), 0, 1)
    np.testing.assert_allclose(LowRankPredictor(rank=6, alpha=10.0).fit(x, y).predict(x), expected, atol=1e-10)


def test_the_kept_directions_are_those_of_the_penalised_fit(data: tuple[np.ndarray, np.ndarray]) -> None:
    """W V V', with V from the Gram matrix W'(X'X + alpha I)W: the definition, over models instead of features."""
    x, y = data
    x64 = x.astype(float) - x.astype(float).mean(axis=0)
    penalised = x64.T @ x64 + 10.0 * np.square(x64).sum() / x.size * np.eye(6)
    weights = np.linalg.solve(penalised, x64.T @ (y - y.mean(axis=0)))
    vectors = np.linalg.svd(weights.T @ penalised @ weights)[0][:, :2]
    expected = np.clip(y.mean(axis=0) + x64 @ weights @ vectors @ vectors.T, 0, 1)
    model = LowRankPredictor(rank=2, alpha=10.0).fit(x, y)
    np.testing.assert_allclose(model.predict(x), expected, atol=1e-10)
    assert np.linalg.matrix_rank(model.directions_ @ model.loadings_) == 2


def test_two_true_directions_need_two(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    new = generator("low rank test").normal(size=(400, 6)).astype(np.float32)
    factors = np.linalg.lstsq(x[:, :2].astype(float), y - 0.5, rcond=None)[0]
    truth = 0.5 + new[:, :2] @ factors
    error = {r: np.abs(LowRankPredictor(rank=r).fit(x, y).predict(new) - truth).mean() for r in (1, 2, 6)}
    assert error[2] < 0.5 * error[1] and error[2] < error[6]


def test_blocks_do_not_matter(data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data
    whole = LowRankPredictor().fit(x, y).predict(x)
    monkeypatch.setattr(low_rank, "_BLOCK_ROWS", 37)
    np.testing.assert_allclose(LowRankPredictor().fit(x, y).predict(x), whole, atol=1e-10)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"expected x \(n, n_feature\)"):
        LowRankPredictor().fit(np.zeros((3, 2), np.float32), np.zeros((4, 2)))
