from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from dacr.core.rng import generator
from dacr.estimates.calibrators.online_platt import OnlinePlatt


def stream(n: int = 3000, m: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = generator("online")
    p = rng.uniform(0.05, 0.95, (n, m))
    y = (rng.uniform(size=(n, m)) < expit(0.5 * logit(p) - 1.0)).astype(float)
    return p, y


def test_one_step_by_hand() -> None:
    # p = .5, y = 1: h = (0, 1), g = (0, -.5), A = diag(rho, rho + .25), theta_1 = .5 / ((rho + .25) gamma).
    online = OnlinePlatt(start=np.array([[1.0, 0.0]]), gamma=0.5, rho=2.0, calibeat=False)
    online.update(np.array([0.5]), np.array([1.0]))
    np.testing.assert_allclose(online.theta_, [[1.0, 0.5 / (2.25 * 0.5)]])


def test_learns_the_map() -> None:
    p, y = stream()
    online = OnlinePlatt(start=np.tile([1.0, 0.0], (3, 1)))
    out = online.run(p, y)
    np.testing.assert_allclose(online.theta_, np.tile([0.5, -1.0], (3, 1)), atol=0.2)
    assert np.square(out - y)[500:].mean() < np.square(p - y)[500:].mean() - 0.02


def test_calibeating_tracks_the_mean_of_the_bin() -> None:
    online = OnlinePlatt(start=np.array([[1.0, 0.0]]), rho=1e12, pseudo_count=0.0)
    one = np.array([0.55])
    assert online.predict(one)[0] == pytest.approx(0.55)
    for outcome in (1.0, 0.0, 0.25):
        online.update(one, np.array([outcome]))
    assert online.predict(one)[0] == pytest.approx(1.25 / 3)
    assert online.predict(np.array([0.75]))[0] == pytest.approx(0.75)


def test_forecasts_are_causal_and_wait_for_the_delay() -> None:
    p, y = stream(60)
    start = np.tile([1.0, 0.0], (3, 1))
    whole = OnlinePlatt(start=start).run(p, y, delay=7)
    changed = y.copy()
    changed[40:] = 1 - changed[40:]
    again = OnlinePlatt(start=start).run(p, changed, delay=7)
    np.testing.assert_array_equal(whole[:48], again[:48])
    assert (whole[48:] != again[48:]).any()


def test_missing_outcomes_teach_nothing() -> None:
    p, y = stream(50)
    start = np.tile([1.0, 0.0], (3, 1))
    told = np.zeros(p.shape, dtype=bool)
    told[:, 1] = True
    y_missing = np.where(told, y, np.nan)
    out = OnlinePlatt(start=start, calibeat=False).run(p, y_missing, told)
    np.testing.assert_allclose(out[:, [0, 2]], p[:, [0, 2]])
    alone = OnlinePlatt(start=start[:1], calibeat=False).run(p[:, 1:2], y[:, 1:2])
    np.testing.assert_allclose(out[:, 1:2], alone)


def test_exact_zero_and_one_stay_finite() -> None:
    p = np.tile([[0.0], [1.0]], (20, 1))
    out = OnlinePlatt(start=np.array([[1.0, 0.0]])).run(p, 1 - p)
    assert np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1


def test_refuses_a_start_of_the_wrong_shape() -> None:
    with pytest.raises(ValueError, match="n_series, 2"):
        OnlinePlatt(start=np.array([1.0, 0.0]))
