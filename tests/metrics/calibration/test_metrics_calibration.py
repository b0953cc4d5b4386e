from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.rng import generator
from dacr.metrics.calibration.ece import bins_of, brier, calibration_table, ece, log_loss, reliability

unit = st.floats(0, 1)
pairs = st.lists(st.tuples(unit, unit, st.integers(0, 2)), min_size=1, max_size=40)


def split(rows: list[tuple[float, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, q, g = zip(*rows, strict=True)
    return np.array(p), np.array(q), np.array(g)


def brute_ece(p: np.ndarray, q: np.ndarray, n_bins: int) -> float:
    total = 0.0
    for k in range(n_bins):
        inside = [i for i, v in enumerate(p) if min(int(v * n_bins), n_bins - 1) == k]
        if inside:
            total += abs(sum(p[i] for i in inside) - sum(q[i] for i in inside))
    return total / len(p)


def test_by_hand() -> None:
    p, q = np.array([0.0, 0.3, 0.3, 1.0]), np.array([0.5, 1.0, 0.0, 1.0])
    assert ece(p, q, n_bins=10) == pytest.approx((0.5 + 0.4 + 0.0) / 4)
    assert brier(p, q) == pytest.approx((0.25 + 0.49 + 0.09) / 4)
    expected = -(0.5 * np.log(1e-12) + np.log(0.3) + np.log(0.7)) / 4
    assert log_loss(p, q) == pytest.approx(expected)


def test_one_belongs_to_the_last_bin() -> None:
    zero = np.zeros(3, dtype=int)
    assert bins_of(np.array([0.0, 0.5, 1.0]), zero, 10).tolist() == [0, 5, 9]


def test_mass_bins_are_even_and_ties_stay_together() -> None:
    p = np.linspace(0, 1, 30)
    assert np.bincount(bins_of(p, np.zeros(30, dtype=int), 5, "mass")).tolist() == [6] * 5
    tied = np.array([0.2] * 10 + [0.8] * 2)
    codes = bins_of(tied, np.zeros(12, dtype=int), 4, "mass")
    assert len(set(codes[:10])) == 1 and codes[10] == codes[11] > codes[0]


@settings(deadline=None, max_examples=60)
@given(pairs, st.integers(1, 20))
def test_groups_equal_brute_force(rows: list[tuple[float, float, int]], n_bins: int) -> None:
    p, q, g = split(rows)
    table = calibration_table(p, q, g, 4, n_bins)
    for k in range(4):
        mine = g == k
        assert table["n"][k] == mine.sum()
        if not mine.any():
            assert np.isnan([table[name][k] for name in ("ece", "brier", "log_loss")]).all()
            continue
        assert table["ece"][k] == pytest.approx(brute_ece(p[mine], q[mine], n_bins))
        assert table["brier"][k] == pytest.approx(np.mean((p[mine] - q[mine]) ** 2))
        assert table["log_loss"][k] == pytest.approx(log_loss(p[mine], q[mine]))


@settings(deadline=None, max_examples=40)
@given(pairs, st.sampled_from(["width", "mass"]), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows: list[tuple[float, float, int]], scheme: str, random: object) -> None:
    p, q, g = split(rows)
    order = generator("order", len(p)).permutation(len(p))
    one = calibration_table(p, q, g, 3, 5, scheme)  # type: ignore[arg-type]
    two = calibration_table(p[order], q[order], g[order], 3, 5, scheme)  # type: ignore[arg-type]
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(pairs, st.sampled_from(["width", "mass"]))
def test_reliability_adds_up_to_the_ece(rows: list[tuple[float, float, int]], scheme: str) -> None:
    p, q, g = split(rows)
    table = calibration_table(p, q, g, 3, 7, scheme)  # type: ignore[arg-type]
    cells = reliability(p, q, g, 3, 7, scheme)  # type: ignore[arg-type]
    n = cells["n"].reshape(3, 7)
    gap = np.abs(cells["mean_p"] - cells["mean_q"]).reshape(3, 7)
    for k in np.flatnonzero(n.sum(axis=1)):
        assert np.nansum(n[k] * gap[k]) / n[k].sum() == pytest.approx(table["ece"][k])
    filled = cells["n"] > 0
    tiny = 1e-12
    assert (cells["mean_p"][filled] >= cells["lower"][filled] - tiny).all()
    assert (cells["mean_p"][filled] <= cells["upper"][filled] + tiny).all()


def test_reliability_sd_is_the_sample_sd_of_the_residual() -> None:
    p, q = np.array([0.31, 0.33, 0.35, 0.9]), np.array([1.0, 0.0, 0.5, 1.0])
    cells = reliability(p, q, n_bins=10)
    assert cells["sd_q"][3] == pytest.approx(np.std((q - p)[:3], ddof=1))
    assert np.isnan(cells["sd_q"][9]) and np.isnan(cells["sd_q"][0])


def test_no_rows() -> None:
    table = calibration_table(np.empty(0), np.empty(0), n_group=2)
    assert table["n"].tolist() == [0, 0] and np.isnan(table["ece"]).all()


@pytest.mark.parametrize(
    "p, q, group",
    [
        ([0.5], [0.5, 0.5], None),
        ([np.nan], [0.5], None),
        ([1.5], [0.5], None),
        ([0.5], [-0.5], None),
        ([0.5], [0.5], [-1]),
        ([0.5], [0.5], [7]),
        ([[0.5]], [[0.5]], None),
    ],
)
def test_refuses_unsound_input(p: list[float], q: list[float], group: list[int] | None) -> None:
    with pytest.raises(ValueError):
        calibration_table(p, q, group, n_group=2)
