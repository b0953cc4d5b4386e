"""Which model wins how many draws, and which is chosen: many models, many runs, ties, models that are not open."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.rng import generator
from dacr.routers.dacr.thompson import sample


def chances(value: np.ndarray, shared: np.ndarray, own: np.ndarray, draws: np.ndarray, floor: float) -> np.ndarray:
    """The definition: how often each model is the first best of value + shared xi_0 + own xi_m, and the floor."""
    out = np.zeros(value.shape)
    for i in range(len(value)):
        is_open = np.isfinite(value[i])
        out[i, is_open] = floor / is_open.sum()
        for xi in draws.T:
            drawn = own[i] * xi[1:] + shared[i] * xi[0] + value[i]
            out[i, np.flatnonzero(drawn == drawn.max())[0]] += (1 - floor) / draws.shape[1]
    return out


@pytest.mark.parametrize("floor", [0.0, 0.2])
@pytest.mark.parametrize(("n", "n_model"), [(1, 2), (7, 11), (40, 11), (5, 300)])
def test_the_choice_is_drawn_from_the_winners(n: int, n_model: int, floor: float) -> None:
    rng = generator("winners", n, n_model)
    value, shared, own = rng.uniform(size=(3, n, n_model))
    value[0] = shared[0] = own[0] = 0.0  # all tied: the first
    value[:, -1] = -np.inf  # not open
    draws = rng.normal(size=(1 + n_model, 16))
    expected = chances(value, shared, own, draws, floor)
    every = np.arange(n)
    model, propensity = np.empty(n, dtype=np.int64), np.empty(n)
    for u in (1e-9, 0.3, 0.77, 1 - 1e-9):
        sample(value, shared, own, draws, floor, np.full(n, u), model, propensity)
        below = np.cumsum(expected, axis=1)
        assert (model == (u * below[:, -1:] > below).sum(axis=1)).all()
        np.testing.assert_allclose(propensity, expected[every, model], rtol=1e-12)
        assert (model < n_model - 1).all() and (propensity > 0).all()
    assert expected[0, 0] >= 1 - floor
