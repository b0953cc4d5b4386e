"""Debiased ECE, null ECE, smooth ECE, decompositions, intervals: against brute force, simulation, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from dacr.core.rng import generator
from dacr.metrics import resample
from dacr.metrics.calibration.bins import Groups
from dacr.metrics.calibration.measures import COLUMNS, binomial_deviation, ece, folded_mean, measures
from dacr.metrics.calibration.smooth import smooth_ece_by_group, smooth_ece_table
from tests.metrics.calibration.bootstrap import bootstrap, ece_interval, percentiles

unit = st.floats(0, 1)
pairs = st.lists(st.tuples(unit, unit), min_size=1, max_size=40)


def simulated(n: int, repeats: int, shift: float = 0.0, levels: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``repeats`` groups of n rows; labels are means of ``levels`` coin flips of chance p - shift."""
    rng = generator("noise", n, repeats, shift, levels)
    p = rng.uniform(max(shift, 0), 1, n * repeats)
    q = rng.binomial(levels, p - shift) / levels
    return p, q, np.repeat(np.arange(repeats), n)


@pytest.mark.parametrize("n, expected", [(200, 0.086), (427, 0.059), (1300, 0.034)])
@pytest.mark.parametrize("levels", [1, 4])
def test_null_ece_is_what_a_calibrated_predictor_scores(n: int, expected: float, levels: int) -> None:
    table = measures(*simulated(n, 300, levels=levels))
    seen = table["ece"].mean()
    # With four coin flips a label the noise, and so the floor, is half as large.
    assert seen == pytest.approx(expected / np.sqrt(levels), rel=0.04)
    assert table["ece_null"].mean() == pytest.approx(seen, rel=0.05)


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("p", [0.0, 0.03, 0.5, 0.8, 1.0])
def test_binomial_deviation_equals_the_sum(n: int, p: float) -> None:
    k = np.arange(n + 1)
    expected = float(np.abs(k / n - p) @ binom.pmf(k, n, p))
    assert float(binomial_deviation(np.array(float(n)), np.array(p))) == pytest.approx(expected, abs=1e-12)


def test_folded_mean_by_simulation_and_at_zero_sd() -> None:
    x = generator("folded").normal(0.2, 0.3, 200_000)
    assert float(folded_mean(np.array(0.2), np.array(0.3))) == pytest.approx(np.abs(x).mean(), abs=3e-3)
    assert float(folded_mean(np.array(-0.2), np.array(0.0))) == pytest.approx(0.2)


def test_debiasing_removes_most_of_the_noise_and_none_of_a_gap() -> None:
    calm = measures(*simulated(1300, 200))
    assert calm["ece_debiased"].mean() < 0.65 * calm["ece"].mean()
    off = measures(*simulated(1300, 200, shift=0.2))
    assert off["ece_debiased"].mean() == pytest.approx(0.2, abs=0.004)


def test_debiased_by_hand() -> None:
    # One bin: p = .5, q = 1, 1, 0, 1: gap .25, s^2 = .25, sigma = 1/4.
    p, q = np.full(4, 0.5), np.array([1.0, 1.0, 0.0, 1.0])
    table = measures(p, q)
    folded = 0.25 * np.sqrt(2 / np.pi) * np.exp(-0.5) + 0.25 * 0.6826894921
    assert table["ece_debiased"][0] == pytest.approx(0.5 - folded, abs=1e-9)
    assert table["ece_null"][0] == pytest.approx(0.1875)  # E|K/4 - 1/2| = 3/16


@settings(deadline=None, max_examples=50)
@given(pairs)
def test_everything_is_finite_and_in_range(rows: list[tuple[float, float]]) -> None:
    p, q = (np.array(v) for v in zip(*rows, strict=True))
    table = measures(p, q)
    assert set(table) == set(COLUMNS)
    for name in COLUMNS:
        assert np.isfinite(table[name]).all(), name
    assert 0 <= table["ece_debiased"][0] <= table["ece"][0] + 1e-12
    assert 0 <= table["ece_null"][0] <= 0.5 + 1e-12
    assert -1e-12 <= table["brier_refinement"][0] <= table["brier"][0] + 1e-12
    assert 0 <= table["smooth_ece"][0] <= 1


def test_zero_rows_are_nan() -> None:
    table = measures(np.array([0.4]), np.array([1.0]), np.array([1]), 3)
    assert table["n"].tolist() == [0, 1, 0]
    for name in COLUMNS[1:]:
        assert np.isnan(table[name][[0, 2]]).all() and np.isfinite(table[name][1]), name


def brute_smooth_ece(p: np.ndarray, q: np.ndarray) -> float:
    grid = (np.arange(4000) + 0.5) / 4000

    def at(sigma: float) -> float:
        kernel = np.zeros((len(grid), len(p)))
        for image in range(-6, 7):
            for mirrored in (p, -p):
                kernel += np.exp(-((grid[:, None] - mirrored - 2 * image) ** 2) / (2 * sigma**2))
        return float(np.abs(kernel @ (q - p) / len(p) / (sigma * np.sqrt(2 * np.pi))).mean())

    low, high = 1e-3, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > middle else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize("seed", range(4))
def test_smooth_ece_equals_brute_force(seed: int) -> None:
    rng = generator("smooth", seed)
    p = rng.uniform(size=40) ** (1 + seed)
    q = rng.integers(0, 5, 40) / 4
    assert measures(p, q)["smooth_ece"][0] == pytest.approx(brute_smooth_ece(p, q), abs=1e-3)


def test_smooth_ece_by_group_and_by_hand() -> None:
    p = np.array([0.3, 0.9, 0.3, 0.9, 0.0, 1.0])
    q = np.array([0.6, 0.9, 0.6, 0.9, 0.0, 1.0])
    group = np.array([0, 1, 0, 1, 3, 3])
    table = smooth_ece_table(p, q, group, 4)
    # All residuals have one sign: smoothing moves them, but takes nothing away.
    np.testing.assert_allclose(table, [0.3, 0.0, np.nan, 0.0], atol=2e-3)


def test_smooth_ece_of_groups_of_queries_equals_that_of_their_rows() -> None:
    rng = generator("smooth groups")
    domain = np.array(["mmlu-law", "mbpp", "mmlu-art"], dtype=object)[np.arange(60) % 3]
    p, q = rng.uniform(size=(60, 2)), rng.integers(0, 5, (60, 2)) / 4
    groups = Groups.of(domain)
    found = smooth_ece_by_group(p, q, groups)
    assert found.shape == (5, 3)
    for k, members in enumerate(groups.members.astype(bool)):
        rows = members[groups.domain]
        for m in range(3):
            a, b = (p[rows], q[rows]) if m == 2 else (p[rows, m], q[rows, m])
            assert found[k, m] == pytest.approx(measures(a.ravel(), b.ravel())["smooth_ece"][0], abs=1e-6)


def test_bootstrap_equals_repeating_rows() -> None:
    rng = generator("bootstrap check")
    n_query, n_model = 30, 2
    query = np.repeat(np.arange(n_query), n_model)
    group = (np.arange(len(query)) % n_model) * 2 + (query % 2)
    p, q = rng.uniform(size=len(query)), rng.integers(0, 5, len(query)) / 4
    counts = resample.draw(n_query, n_resample=5).counts
    coarser = np.array([(0, 0), (0, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)])
    draws = bootstrap(p, q, group, 4, query, counts, coarser)
    members = [[0], [1], [2], [3], [0, 1], [2, 3], [0, 1, 2, 3]]
    for b in range(5):
        times = counts[query, b].astype(int)
        for k, fine in enumerate(members):
            rows = np.repeat(np.flatnonzero(np.isin(group, fine)), times[np.isin(group, fine)])
            found = measures(p[rows], q[rows], smooth=False)
            assert draws.ece[k, b] == pytest.approx(ece(p[rows], q[rows]), abs=1e-5)
            assert draws.brier[k, b] == pytest.approx(found["brier"][0], abs=1e-5)
            assert draws.log_loss[k, b] == pytest.approx(found["log_loss"][0], rel=1e-4)


@pytest.mark.parametrize("shift", [0.05, 0.2])
def test_ece_intervals_cover(shift: float) -> None:
    repeats, n = 150, 400
    p, q, group = simulated(n, repeats, shift=shift)
    counts = resample.draw(n, n_resample=200).counts
    draws = bootstrap(p, q, group, repeats, np.tile(np.arange(n), repeats), counts)
    low, high = ece_interval(measures(p, q, group)["ece_debiased"], draws.ece)
    assert ((low <= shift) & (shift <= high)).mean() > 0.88
    low, high = percentiles(draws.brier)
    truth = np.mean((p - q) ** 2)
    assert ((low <= truth) & (truth <= high)).mean() > 0.88


def test_intervals_of_empty_groups_are_nan() -> None:
    draws = bootstrap(
        np.array([0.5]), np.array([1.0]), np.array([1]), 2, np.array([0]), resample.draw(1, n_resample=3).counts
    )
    low, high = ece_interval(np.array([np.nan, 0.1]), draws.ece)
    assert np.isnan([low[0], high[0]]).all() and np.isfinite([low[1], high[1]]).all()
