"""Special functions against those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erfc, expit

from dacr.core.compiled import Kernel, kernel
from dacr.core.rng import draw_of, generator, keyed_uniform, keys_of
from dacr.routers.dacr import special

exp, sigmoid, rise = special.exp, special.sigmoid, special.rise


@kernel
def _each(x, out):
    for i in range(len(x)):
        out[0, i], out[1, i], out[2, i] = exp(x[i]), sigmoid(x[i]), rise(abs(x[i]))


@kernel
def _drawn(key, seed, out):
    for i in range(len(key)):
        for k in range(out.shape[1]):
            out[i, k] = draw_of(key[i], seed[i], np.uint64(k + 1))


def test_they_are_those_of_scipy() -> None:
    x = np.concatenate([np.linspace(-700, 700, 5001), generator("special").normal(size=5000), [0.0, 10.0, -10.0]])
    out = np.empty((3, len(x)))
    _each(x, out)
    np.testing.assert_allclose(out[0], np.exp(x), rtol=3e-16)
    np.testing.assert_allclose(out[1], expit(x), rtol=5e-16)
    z = np.minimum(np.abs(x), special.RISE_MOST)
    expected = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) - z * erfc(z / np.sqrt(2)) / 2
    np.testing.assert_allclose(out[2], expected, rtol=1e-9, atol=1e-15)
    assert rise(0.0) == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-12)


@pytest.mark.parametrize("one", [exp, sigmoid, rise], ids=lambda one: one.__name__)
def test_compiled_and_plain_are_the_same(one: Kernel) -> None:
    for x in (0.0, 0.3, 2.0, 9.9):
        assert one(x) == one.__wrapped__(x)


def test_a_draw_in_a_kernel_is_that_of_the_request() -> None:
    key = keys_of(f"q{i}" for i in range(40))
    out = np.empty((40, 3))
    _drawn(key, key[::-1].copy(), out)
    np.testing.assert_array_equal(out, keyed_uniform(key, 3, key[::-1]))
