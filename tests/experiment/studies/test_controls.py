"""Controls: shuffles that keep domains, concordance by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.experiment.references import concordance, shuffled_within


def test_a_shuffle_keeps_every_domain_and_breaks_the_rest() -> None:
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    domain = ["a", "b", "b", "c"] * 25
    out = shuffled_within(x, domain)
    names = np.array(domain)
    for name in "abc":
        assert sorted(out[names == name][:, 0]) == sorted(x[names == name][:, 0])
    assert (out[:, 1] - out[:, 0] == 1).all(), "rows move whole"
    assert (out != x).any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(out, shuffled_within(x, domain))
    assert (out != shuffled_within(x, domain, seed=1)).any()


def brute(p: np.ndarray, q: np.ndarray, domain: np.ndarray) -> float:
    same = domain[:, None] == domain[None, :]
    gap = (q[:, None] - q[None, :]) * same
    weight = np.abs(gap).sum()
    return float("nan") if weight == 0 else 0.5 * (1 + (gap * np.sign(p[:, None] - p[None, :])).sum() / weight)


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["x", "y"])), min_size=1, max_size=30)
)
@settings(deadline=None, max_examples=60)
def test_concordance_equals_counting_pairs(rows: list[tuple[int, int, str]]) -> None:
    p, q = np.array([[r[0], r[1]] for r in rows], dtype=float).T / 4
    domain = np.array([r[2] for r in rows])
    np.testing.assert_allclose(concordance(p, q, domain.tolist()), [brute(p, q, domain)], atol=1e-12)


def test_concordance_by_hand() -> None:
    assert concordance([0.1, 0.9], [0.0, 1.0]).tolist() == [1.0]
    assert concordance([0.5, 0.5], [0.0, 1.0]).tolist() == [0.5]
    # Pairs: .5 apart in the right order, 1 apart in the wrong one, .5 apart tied.
    assert concordance([0.2, 0.1, 0.2], [0.5, 0.0, 0.0]).tolist() == [pytest.approx((0.5 + 0.25) / 1.0)]
    assert np.isnan(concordance([0.2, 0.1], [1.0, 1.0])).all()
    # Only pairs within a domain count.
    assert concordance([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], list("abab")).tolist() == [0.0]
    with pytest.raises(ValueError, match="one shape"):
        concordance([0.1], [0.1, 0.2])
