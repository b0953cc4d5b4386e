"""Measures from sums by bin: against brute force, by hand, and refusing what is unsound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.rng import generator
from dacr.metrics.calibration.bins import N_BINS, Groups, bin_sums, bins_of, moments
from dacr.metrics.calibration.measures import FROM_SUMS, ece, from_sums, measures
from dacr.metrics.calibration.reliability import pooled_bins

unit = st.floats(0, 1)
pairs = st.lists(st.tuples(unit, unit, st.integers(0, 2)), min_size=1, max_size=40)


def split(rows: list[tuple[float, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, q, g = zip(*rows, strict=True)
    return np.array(p), np.array(q), np.array(g)


def brute_ece(p: np.ndarray, q: np.ndarray) -> float:
    total = 0.0
    for k in range(15):
        inside = [i for i, v in enumerate(p) if min(int(v * 15), 14) == k]
        if inside:
            total += abs(sum(p[i] for i in inside) - sum(q[i] for i in inside))
    return total / len(p)


def test_by_hand() -> None:
    p, q = np.array([0.0, 0.3, 0.3, 1.0]), np.array([0.5, 1.0, 0.0, 1.0])
    found = {name: float(values[0]) for name, values in measures(p, q).items()}
    assert found["ece"] == ece(p, q) == pytest.approx((0.5 + 0.4 + 0.0) / 4)
    assert found["brier"] == pytest.approx((0.25 + 0.49 + 0.09) / 4)
    # Bins at 0, .3, 1 with weights 1/4, 1/2, 1/4 and gaps .5, .2, 0.
    assert found["brier_refinement"] == pytest.approx(found["brier"] - (0.25 / 4 + 0.04 / 2))
    assert found["log_loss"] == pytest.approx(-(0.5 * np.log(1e-12) + np.log(0.3) + np.log(0.7)) / 4)
    assert (found["mean_p"], found["mean_q"]) == pytest.approx((0.4, 0.625))


def test_refinement_is_what_recalibrating_the_bins_would_leave() -> None:
    rng = generator("refinement")
    p = (np.arange(600) % 15 + 0.5) / 15  # one prediction per bin
    q = rng.integers(0, 5, 600) / 4
    recalibrated = np.array([q[bins_of(p) == k].mean() for k in range(15)])[bins_of(p)]
    assert measures(p, q)["brier_refinement"][0] == pytest.approx(measures(recalibrated, q)["brier"][0])


def test_one_belongs_to_the_last_bin() -> None:
    assert bins_of(np.array([0.0, 0.5, 1.0])).tolist() == [0, 7, 14]


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_groups_equal_brute_force(rows: list[tuple[float, float, int]]) -> None:
    p, q, g = split(rows)
    table = measures(p, q, g, 4)
    for k in range(4):
        mine = g == k
        assert table["n"][k] == mine.sum()
        if not mine.any():
            assert np.isnan([table[name][k] for name in table if name != "n"]).all()
            continue
        a, b = p[mine], q[mine]
        inside = np.clip(a, 1e-12, 1 - 1e-12)
        assert table["ece"][k] == pytest.approx(brute_ece(a, b), abs=1e-12)
        assert table["brier"][k] == pytest.approx(np.mean((a - b) ** 2), abs=1e-12)
        assert table["log_loss"][k] == pytest.approx(-np.mean(b * np.log(inside) + (1 - b) * np.log1p(-inside)))


@settings(deadline=None, max_examples=40)
@given(pairs)
def test_order_of_rows_does_not_matter_and_sums_add_up(rows: list[tuple[float, float, int]]) -> None:
    p, q, g = split(rows)
    order = generator("order", len(p)).permutation(len(p))
    one, two = measures(p, q, g, 3), measures(p[order], q[order], g[order], 3)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-9)
    added = from_sums(bin_sums(p, q, g, 3).sum(axis=1))
    for name in FROM_SUMS:
        assert added[name] == pytest.approx(measures(p, q)[name][0], abs=1e-9), name


@settings(deadline=None, max_examples=40)
@given(pairs)
def test_reliability_adds_up_to_the_ece(rows: list[tuple[float, float, int]]) -> None:
    p, q, _ = split(rows)
    cells = pd.DataFrame(pooled_bins(p[None, :, None], q[:, None], Groups.of(np.zeros(len(p))), [0]))
    filled = cells[cells["n"] > 0]
    assert len(cells) == N_BINS and (filled["n"] * (filled["mean_p"] - filled["mean_q"]).abs()).sum() / len(
        p
    ) == pytest.approx(ece(p, q), abs=1e-12)
    assert (filled["mean_p"] >= filled["lower"] - 1e-12).all() and (filled["mean_p"] <= filled["upper"] + 1e-12).all()


def test_the_variance_of_a_bin_is_the_sample_variance_of_its_residuals() -> None:
    p, q = np.array([0.31, 0.32, 0.33, 0.9]), np.array([1.0, 0.0, 0.5, 1.0])
    n, mean_p, gap, variance = (x[0] for x in moments(bin_sums(p, q, np.zeros(4, dtype=np.int64), 1)))
    assert n[4] == 3 and mean_p[4] == pytest.approx(0.32) and gap[4] == pytest.approx(0.18)
    assert variance[4] == pytest.approx(np.var((q - p)[:3], ddof=1))
    assert variance[13] == variance[0] == 0.0  # one row, no row


def test_no_rows() -> None:
    table = measures(np.empty(0), np.empty(0), n_group=2)
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
        measures(p, q, group, n_group=2)
