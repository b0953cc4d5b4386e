"""Which model wins each draw: many models, many runs, ties."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.rng import generator
from dacr.routers.dacr import thompson


def one_by_one(value: np.ndarray, shared: np.ndarray, own: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The definition: the first best of value + shared xi_0 + own xi_m."""
    out = np.zeros((len(value), len(draws)), dtype=int)
    for i in range(len(value)):
        for k in range(len(draws)):
            drawn = own[i] * draws[k, 1:]
            drawn += shared[i] * draws[k, 0]
            drawn += value[i]
            out[i, k] = np.flatnonzero(drawn == drawn.max())[0]
    return out


@pytest.mark.parametrize(("n", "n_model"), [(1, 2), (7, 11), (40, 11), (5, 300)])
def test_the_first_best_of_each_draw_wins(n: int, n_model: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = generator("winners", n, n_model)
    value, shared, own = rng.uniform(size=(3, n, n_model))
    value[0] = shared[0] = own[0] = 0.0  # all tied: the first
    value[:, -1] = -np.inf  # not open
    draws = rng.normal(size=(16, 1 + n_model))
    expected = one_by_one(value, shared, own, draws)
    assert (thompson.winners(value, shared, own, draws) == expected).all()
    assert (expected[0] == 0).all() and (expected < n_model - 1).all()
    monkeypatch.setattr(thompson, "DRAWN_AT_ONCE", 1)
    assert (thompson.winners(value, shared, own, draws) == expected).all()
