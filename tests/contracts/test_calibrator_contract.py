"""Every registered calibrator keeps the contract, on ordinary and on degenerate inputs."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.registry import calibrators
from dacr.core.rng import generator

NAMES = [name for name, part in calibrators.items() if not part.unavailable()]
MONOTONE = [name for name in NAMES if calibrators.get(name).monotone]


def rows(n: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = generator("calibrator contract")
    domain = np.array(["mmlu-law", "mmlu-art", "mbpp"], dtype=object)[np.arange(n) % 3]
    p = rng.uniform(0.02, 0.98, n)
    y = np.round(np.clip(p + rng.normal(0, 0.4, n), 0, 1) * 4) / 4
    x = rng.normal(size=(n, 5)).astype(np.float32)
    return p, y, domain, x


CASES = {
    "one row": (np.array([0.3]), np.array([1.0]), ["a"]),
    "one query in a domain": (np.array([0.3, 0.6, 0.7]), np.array([1.0, 0.0, 0.5]), ["a", "b", "b"]),
    "one class": (np.array([0.2, 0.5, 0.9, 0.4]), np.ones(4), ["a", "a", "b", "b"]),
    "no success": (np.array([0.2, 0.5, 0.9, 0.4]), np.zeros(4), ["a", "a", "b", "b"]),
    "constant predictor": (np.full(6, 0.4), np.array([0.0, 1.0, 0.0, 1.0, 0.25, 1.0]), ["a"] * 6),
    "exactly 0 and 1": (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]), ["a", "a", "b", "b"]),
    "separable": (np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]), ["a"] * 4),
    "separable the wrong way": (np.array([0.1, 0.2, 0.8, 0.9]), np.array([1.0, 1.0, 0.0, 0.0]), ["a"] * 4),
    "no labels of domains": (np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 0.5]), [""] * 4),
}


def test_finds_calibrators() -> None:
    assert len(NAMES) >= 10
    assert {"identity", "platt", "base_rate", "base_slope", "by_domain", "shift", "platt_insample"} <= set(NAMES)
    assert {"identity", "isotonic", "base_slope"} <= set(MONOTONE) != set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_rows(name: str) -> None:
    p, y, domain, x = rows()
    make = calibrators.get(name)
    assert make.fitted_on in {"oof", "lodo", "insample"}
    assert make.name == name and make.__doc__
    fitted = make()
    with pytest.raises(RuntimeError, match="not fitted"):
        fitted.transform(p, domain, x=x)
    assert fitted.fit(p, y, domain, x=x) is fitted
    out = fitted.transform(p, domain, x=x)
    assert out.shape == p.shape and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1
    np.testing.assert_array_equal(out, fitted.transform(p, domain, x=x), "transform must not change the state")
    np.testing.assert_array_equal(out, make().fit(p, y, domain, x=x).transform(p, domain, x=x), "not reproducible")
    assert make(**fitted.params).params == fitted.params
    assert fitted.transform(np.empty(0), np.empty(0, dtype=object), x=x[:0]).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_as_they_are(name: str) -> None:
    p, y, domain, x = rows()
    before = [a.copy() for a in (p, y, domain, x)]
    out = calibrators.get(name)().fit(p, y, domain, x=x).transform(p, domain, x=x)
    out[:] = 0.123
    for array, copy in zip((p, y, domain, x), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_degenerate_cases_are_defined_and_finite(name: str, case: str) -> None:
    p, y, domain = CASES[case]
    names = np.array(domain, dtype=object)
    x = np.linspace(-1, 1, 3 * len(p)).reshape(-1, 3).astype(np.float32)
    fitted = calibrators.get(name)().fit(p, y, names, x=x)
    asked = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0])
    for where in ("a", "never seen", "", None):
        out = fitted.transform(asked, np.full(5, where, dtype=object), x=np.ones((5, 3), dtype=np.float32))
        assert np.isfinite(out).all() and (out >= 0).all() and (out <= 1).all(), (where, out)


@pytest.mark.parametrize("name", MONOTONE)
def test_monotone_where_promised(name: str) -> None:
    """Even where success falls with the prediction."""
    p, y, domain, x = rows()
    fitted = calibrators.get(name)().fit(p, 1 - y, domain, x=x)
    grid = np.linspace(0, 1, 101)
    for where in ("mmlu-law", "mbpp"):
        same_x = np.repeat(x[:1], len(grid), axis=0)
        out = fitted.transform(grid, np.full(len(grid), where, dtype=object), x=same_x)
        assert (np.diff(out) >= -1e-12).all()


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows(name: str) -> None:
    make = calibrators.get(name)
    p, y, domain, x = rows()
    order = generator("order").permutation(len(p))
    fitted = make().fit(p, y, domain, x=x)
    again = make().fit(p[order], y[order], domain[order], x=x[order])
    asked = domain if make.order_matters else np.where(np.arange(len(p)) % 2, "unseen", domain).astype(object)
    out = fitted.transform(p, asked, x=x)
    np.testing.assert_allclose(out, again.transform(p, asked, x=x), atol=1e-6)
    np.testing.assert_allclose(out[order], fitted.transform(p[order], asked[order], x=x[order]), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_causal(name: str) -> None:
    """What comes later changes nothing."""
    p, y, domain, x = rows()
    fitted = calibrators.get(name)().fit(p, y, domain, x=x)
    unseen = np.where(np.arange(len(p)) % 3 == 0, "new", "newer").astype(object)
    whole = fitted.transform(p, unseen, x=x)
    np.testing.assert_allclose(whole[:50], fitted.transform(p[:50], unseen[:50], x=x[:50]), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_unsound_input(name: str) -> None:
    make = calibrators.get(name)
    good, names = np.array([0.2, 0.8]), np.array(["a", "b"], dtype=object)
    for p, y, domain in [
        (good[:1], good, names),
        (good, good[:1], names),
        (good, good, names[:1]),
        (np.array([0.2, np.nan]), good, names),
        (np.array([0.2, 1.2]), good, names),
        (good, np.array([-0.1, 0.5]), names),
        (good[:, None], good, names),
        (good[:0], good[:0], names[:0]),
    ]:
        with pytest.raises(ValueError):
            make().fit(p, y, domain)
