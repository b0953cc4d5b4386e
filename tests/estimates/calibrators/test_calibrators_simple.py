from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from dacr.core.registry import calibrators
from dacr.core.rng import generator


def drawn(slope: float, intercept: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = generator("platt truth", slope, intercept)
    p = rng.uniform(0.02, 0.98, n)
    y = (rng.uniform(size=n) < expit(slope * logit(p) + intercept)).astype(float)
    return p, y, np.full(n, "d", dtype=object)


@pytest.mark.parametrize("slope, intercept", [(1.0, 0.0), (0.5, -1.0), (2.0, 0.7), (-0.5, 0.2)])
def test_platt_finds_the_truth(slope: float, intercept: float) -> None:
    fitted = calibrators.get("platt")().fit(*drawn(slope, intercept))
    assert abs(fitted.a_ - slope) < 0.06 and abs(fitted.b_ - intercept) < 0.06


def test_platt_keeps_the_mean_of_training() -> None:
    p, y, domain = drawn(0.5, -1.0, 500)
    out = calibrators.get("platt")().fit(p, y, domain).transform(p, domain)
    assert abs(out.mean() - y.mean()) < 1e-3


def test_temperature_finds_the_truth() -> None:
    fitted = calibrators.get("temperature")().fit(*drawn(0.5, 0.0))
    assert abs(fitted.temperature_ - 2.0) < 0.1


def test_temperature_never_inverts() -> None:
    fitted = calibrators.get("temperature")().fit(*drawn(-1.0, 0.0))
    np.testing.assert_allclose(fitted.transform([0.1, 0.9], ["d", "d"]), 0.5)


def test_beta_contains_platt_and_keeps_signs() -> None:
    fitted = calibrators.get("beta")().fit(*drawn(0.5, -1.0))
    assert abs(fitted.a_ - 0.5) < 0.12 and abs(fitted.b_ - 0.5) < 0.12
    flat = calibrators.get("beta")().fit(*drawn(-1.0, 0.0))
    assert (flat.a_, flat.b_) == (0.0, 0.0)


def test_isotonic_by_hand() -> None:
    p, y = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0])
    fitted = calibrators.get("isotonic")().fit(p, y, ["d"] * 4)
    np.testing.assert_allclose(fitted.transform([0.0, 0.1, 0.2, 0.3, 0.9], ["d"] * 5), [0, 0, 0.5, 0.5, 1])


def test_base_rate_by_hand() -> None:
    fitted = calibrators.get("base_rate")().fit([0.1, 0.9, 0.5], [1.0, 0.5, 0.0], ["a", "b", "c"])
    np.testing.assert_allclose(fitted.transform([0.0, 1.0], ["a", "new"]), 2.0 / 4)


def test_what_each_is_fitted_on() -> None:
    kinds = {name: part.fitted_on for name, part in calibrators.items()}
    assert kinds["platt_insample"] == "insample" and kinds["shift"] == "lodo"
    assert all(kind == "oof" for name, kind in kinds.items() if name not in ("platt_insample", "shift"))
