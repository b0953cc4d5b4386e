from __future__ import annotations

import itertools
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.data import pickles
from dacr.metrics import frontier as f
from dacr.metrics.budgets import BudgetedQuality, budgeted_quality
from dacr.metrics.hull import areas, upper_hull

grid = st.integers(0, 12)
points = st.lists(st.tuples(grid, grid), min_size=1, max_size=9)


def height_by_brute_force(xs: list[float], ys: list[float], at: float) -> float:
    """Best mixture of two points whose mean cost is at most ``at``."""
    best = -math.inf
    for (xa, ya), (xb, yb) in itertools.product(zip(xs, ys, strict=True), repeat=2):
        if xa <= at:
            best = max(best, ya)
        if xa <= at < xb:
            best = max(best, ya + (yb - ya) * (at - xa) / (xb - xa))
    return best


@settings(deadline=None, max_examples=200)
@given(points)
def test_hull_equals_the_best_mixture_everywhere(pairs: list[tuple[int, int]]) -> None:
    xs, ys = [p[0] / 7 for p in pairs], [p[1] / 12 for p in pairs]
    frontier = f.Frontier.of(xs, ys)
    for at in np.linspace(min(xs), max(xs) + 1, 23):
        assert float(frontier.quality_at(at)) == pytest.approx(height_by_brute_force(xs, ys, at), abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(points, grid)
def test_areas_equal_brute_force(pairs: list[tuple[int, int]], beyond: int) -> None:
    """Between two neighbouring costs the frontier is a line, so brute-force heights there give the exact area."""
    xs, ys = [p[0] / 7 for p in pairs], [p[1] / 12 for p in pairs]
    at = np.unique([*xs, max(xs) + beyond / 5])
    heights = [height_by_brute_force(xs, ys, x) for x in at]
    span = at[-1] - at[0]
    want = np.trapezoid(heights, at) / span if span > 0 else heights[0]
    assert f.aiq(xs, ys, low=at[0], high=at[-1]) == pytest.approx(want, abs=1e-12)
    assert f.lambda_frontier_area(xs, ys, [at[0], at[-1]], [-1.0, 0.0]) == pytest.approx(want, abs=1e-12)
    if beyond == 0:
        assert f.aiq(xs, ys) == pytest.approx(want, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(points, st.randoms())
def test_order_duplicates_and_dominated_points_change_nothing(pairs: list[tuple[int, int]], random: object) -> None:
    xs, ys = [p[0] / 7 for p in pairs], [p[1] / 12 for p in pairs]
    best = int(np.argmax(ys))
    more = [*zip(xs, ys, strict=True), (xs[0], ys[0]), (xs[best] + 1e-3, ys[best] - 0.01), (xs[0] + 2.0, -0.5)]
    random.shuffle(more)  # type: ignore[attr-defined]
    a, b = upper_hull(xs, ys), upper_hull(*zip(*more, strict=True))
    np.testing.assert_array_equal(a, b)
    assert f.lambda_frontier_area(*zip(*more, strict=True), xs, ys) == f.lambda_frontier_area(xs, ys, xs, ys)
    assert f.aiq(*zip(*more, strict=True), low=min(xs), high=max(xs)) == f.aiq(xs, ys, low=min(xs), high=max(xs))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.tuples(grid, grid), min_size=5, max_size=5), min_size=1, max_size=6))
def test_many_hulls_at_once_equal_one_by_one(rows: list[list[tuple[int, int]]]) -> None:
    table = np.array(rows, dtype=float) / 7
    x, y = table[..., 0], table[..., 1]
    low, high = x.min(axis=1), x.max(axis=1) + 0.3
    want = [f.Frontier.of(a, b).area(lo, hi) for a, b, lo, hi in zip(x, y, low, high, strict=True)]
    np.testing.assert_allclose(areas(x, y, low, high), want, atol=1e-12)
    inner = low + 0.25 * (high - low)
    want = [f.Frontier.of(a, b).area(lo, hi) for a, b, lo, hi in zip(x, y, inner, inner + 0.1, strict=True)]
    np.testing.assert_allclose(areas(x, y, inner, inner + 0.1), want, atol=1e-12)
    want = [f.Frontier.of(a, b).area(lo, lo) for a, b, lo in zip(x, y, low, strict=True)]
    np.testing.assert_allclose(areas(x, y, low, low), want, atol=1e-12)


def test_a_hull_worked_by_hand() -> None:
    # (2, .3) lies under the chord (1, .2)-(3, .8); (4, .7) is dominated.
    cost, quality = [4.0, 1.0, 3.0, 2.0], [0.7, 0.2, 0.8, 0.3]
    assert f.aiq(cost, quality) == pytest.approx((2 * 0.5 + 1 * 0.8) / 3)
    # RouterBench divides by 4, the largest cost, instead of 3.
    assert f.aiq_routerbench(cost, quality) == pytest.approx((2 * 0.5 + 1 * 0.8) / 4)
    assert f.aiq_routerbench([2.0], [0.5]) == 0.0 and np.isnan(f.aiq_routerbench([0.0], [0.5]))
    # From 0 USD on: the null router's chord to (3, .8) passes above (1, .2), then flat to 5.
    assert f.aiq(cost, quality, low=0.0, high=5.0) == pytest.approx((3 * 0.4 + 2 * 0.8) / 5)
    # A router with one setting in the middle starts at the cheapest single model.
    assert f.lambda_frontier_area([2.0], [0.6], [1.0, 3.0], [0.2, 0.5]) == pytest.approx((0.4 + 0.6) / 2)


def test_apgr_and_cpt_by_hand() -> None:
    weak, strong = (1.0, 0.4), (3.0, 0.8)
    assert f.apgr([2.0], [0.6], weak, strong) == pytest.approx(0.5)
    assert f.apgr([2.0], [0.8], weak, strong) == pytest.approx(0.75)
    assert f.cpt([2.0], [0.6], weak, strong, 0.5) == pytest.approx(0.5)
    assert f.cpt([1.5], [0.7], weak, strong, 0.5) == pytest.approx(1 / 6)
    assert f.cpt([1.5], [0.7], weak, strong, 0.8) == pytest.approx((1.5 + 0.02 / 0.1 * 1.5 - 1) / 2)
    assert math.isnan(f.apgr([2.0], [0.6], strong, weak))
    assert math.isnan(f.cpt([2.0], [0.6], weak, (3.0, 0.4), 0.5))


def test_gains_by_hand() -> None:
    cost, quality = [1.0, 2.0, 4.0], [0.5, 0.8, 0.9]
    assert f.perf_gain(cost, quality, 0.75) == pytest.approx(0.2)
    assert f.cost_save(cost, quality, best_cost=8.0, best_quality=0.75) == pytest.approx(0.75)
    assert math.isnan(f.cost_save(cost, quality, best_cost=8.0, best_quality=0.95))
    assert [f.oracle_share(q, 0.8, 1.0) for q in quality] == pytest.approx([-1.5, 0.0, 0.5])
    assert math.isnan(f.oracle_share(0.9, 0.8, 0.8))


def test_headline_counts_overspent_budgets() -> None:
    got = budgeted_quality([1.0, 2.0], cost=[0.9, 2.2], quality=[0.5, 0.7])
    assert got == BudgetedQuality(0.6, 2, 1, 1.0, 1.1)
    with pytest.raises(UserError, match="above 0"):
        budgeted_quality([0.0], [0.1], [0.5])


def test_one_model_and_two_of_equal_cost() -> None:
    assert f.lambda_frontier_area([1.0], [0.4], [1.0], [0.4]) == 0.4
    assert f.aiq([1.0], [0.4]) == 0.4
    assert f.aiq([1.0, 1.0], [0.4, 0.6]) == 0.6
    assert f.lambda_frontier_area([1.0], [0.4], [1.0, 1.0], [0.4, 0.6]) == 0.6
    assert math.isnan(f.apgr([1.0], [0.5], (1.0, 0.4), (1.0, 0.6)))


def test_reading_off() -> None:
    frontier = f.Frontier.of([1.0, 3.0], [0.2, 0.8])
    np.testing.assert_allclose(frontier.quality_at([0.5, 1.0, 2.0, 9.0]), [np.nan, 0.2, 0.5, 0.8])
    np.testing.assert_allclose(frontier.cost_at([0.1, 0.5, 0.8, 0.81]), [1.0, 2.0, 3.0, np.nan])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused(bad: float) -> None:
    for call in (
        lambda: upper_hull([1.0, bad], [0.1, 0.2]),
        lambda: f.aiq([1.0, 2.0], [0.1, bad]),
        lambda: areas([[1.0, bad]], [[0.1, 0.2]], 1.0, 2.0),
        lambda: f.lambda_frontier_area([1.0], [0.1], [1.0], [bad]),
        lambda: budgeted_quality([1.0], [1.0], [bad]),
        lambda: f.perf_gain([1.0], [bad], 0.5),
    ):
        with pytest.raises(UserError, match="finite"):
            call()


def test_senseless_ranges_are_refused() -> None:
    with pytest.raises(UserError, match="cheapest single model"):
        f.Frontier.of([1.0], [0.5]).area(0.5, 2.0)
    with pytest.raises(UserError, match="lower first"):
        f.Frontier.of([1.0], [0.5]).area(2.0, 1.0)
    with pytest.raises(UserError, match="cheapest single model"):
        areas([[1.0, 2.0]], [[0.5, 0.6]], 0.5, 2.0)
    with pytest.raises(UserError, match="at least one"):
        upper_hull([], [])
    with pytest.raises(UserError, match="one quality per cost"):
        upper_hull([1.0], [0.5, 0.6])


def test_hull_of_many_points_is_quick() -> None:
    angle = np.linspace(0, np.pi / 2, 200_000)
    start = time.process_time()
    x, _ = upper_hull(1 - np.cos(angle), np.sin(angle))
    assert len(x) > 50_000
    assert time.process_time() - start < 3, "every pair of points would take hours"


@pytest.mark.parametrize(("domain", "area"), [("arc-challenge", 0.921), ("mbpp", 0.665), ("winogrande", 0.797)])
def test_hindsight_hulls_of_real_rows(shared_data: Path, domain: str, area: float) -> None:
    """The hull of all single models, on real 5-shot rows, against figures that were worked out elsewhere."""
    frame = pickles.load(shared_data / "routerbench_5shot_3164.pkl")
    rows = frame[frame["eval_name"] == domain]
    models = [name for name in frame.columns if f"{name}|total_cost" in frame.columns]
    quality, cost = rows[models].mean().to_numpy(), rows[[f"{name}|total_cost" for name in models]].mean().to_numpy()
    assert f.lambda_frontier_area(cost, quality, cost, quality) == pytest.approx(area, abs=1e-3)
