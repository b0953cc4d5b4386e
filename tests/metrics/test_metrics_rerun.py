from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dacr.errors import UserError
from dacr.metrics.rerun import rerun_interval, resampled_streams


def test_streams_are_draws_with_replacement() -> None:
    rows = resampled_streams(50, 400, seed=3)
    assert rows.shape == (400, 50) and rows.min() == 0 and rows.max() == 49
    assert np.array_equal(rows, resampled_streams(50, 400, seed=3))
    distinct = np.mean([len(set(row)) for row in rows]) / 50
    assert distinct == pytest.approx(1 - (1 - 1 / 50) ** 50, abs=0.01)
    with pytest.raises(UserError, match="two streams"):
        resampled_streams(50, 1)


def test_variance_by_hand() -> None:
    x = np.zeros((2, 4, 1))
    x[0, :, 0], x[1, :, 0] = [0.4, 0.4, 0.6, 0.6], [0.6, 0.6, 0.8, 0.8]  # order means .5 and .7: S_O^2 = .02
    again = np.array([[0.2], [0.6], [1.0]])  # S_B^2 = .16
    estimate, low, high, error = rerun_interval(x, again)
    assert estimate[0] == pytest.approx(0.6)
    assert error[0] == pytest.approx(np.sqrt(0.16 - 0.02 / 2))
    assert high[0] - low[0] == pytest.approx(2 * stats.t.ppf(0.975, 2) * error[0])


def test_never_below_what_recorded_decisions_show() -> None:
    x = np.random.default_rng(0).random((5, 100, 2))
    _, _, _, error = rerun_interval(x, np.full((10, 2), 0.5))
    want = np.sqrt(x.mean(axis=0).var(axis=0, ddof=1) / 100 + x.mean(axis=1).var(axis=0, ddof=1) / 5)
    np.testing.assert_allclose(error, want)


def test_bad_input_is_refused() -> None:
    x = np.zeros((2, 4, 1))
    for block, again, said in (
        (x[:1], np.zeros((3, 1)), "two stream orders"),
        (x, np.zeros((1, 1)), "two stream orders"),
        (x, np.zeros((3, 2)), "expected"),
        (x, np.full((3, 1), np.nan), "finite"),
    ):
        with pytest.raises(UserError, match=said):
            rerun_interval(block, again)
