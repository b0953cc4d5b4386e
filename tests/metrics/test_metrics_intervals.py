from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dacr.core.errors import UserError
from dacr.metrics import intervals, panel, resample
from dacr.metrics.frontier import lambda_frontier_area


def made_up(x: np.ndarray, depends: list[bool], name: str = "quality") -> panel.Panel:
    """A panel of settings s0, s1, ... from values (n_order, n_query, n_setting)."""
    n_order, n_query, n_setting = x.shape
    frame = pd.DataFrame(
        {"policy": [f"p{i}" for i in range(n_setting)], "lambda_cost": 0.0, "setting": range(n_setting)}
    )
    qid = np.array([f"q{i}" for i in range(n_query)], dtype=object)
    domain = np.array([f"d{i % 2}" for i in range(n_query)], dtype=object)
    return panel.Panel(frame, np.array(depends), qid, domain, tuple(range(n_order)), {name: x})


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(0, 5))
def test_replicates_equal_expanding_the_counts(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=(n, 2))
    r = resample.draw(n, n_resample=20, seed=seed)
    assert (r.counts.sum(axis=0) == n).all()
    means = r.means(x)
    for k in range(20):
        rows = np.repeat(np.arange(n), r.counts[:, k].astype(int))
        np.testing.assert_allclose(means[:, k], x[rows].mean(axis=0), rtol=1e-6, atol=1e-6)
    x[0] = np.nan
    with pytest.raises(UserError, match="NaN"):
        r.means(x)


def test_domain_means_use_the_same_counts() -> None:
    x = np.arange(6.0)[:, None]
    where = np.array([True, True, False, False, True, False])
    r = resample.draw(6, n_resample=300, seed=2)
    got = r.means(x, where)[0]
    with np.errstate(invalid="ignore"):
        want = (r.counts * x * where[:, None]).sum(axis=0) / (r.counts * where[:, None]).sum(axis=0)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_same_seed_same_draws_and_small_costs_keep_their_digits() -> None:
    a, b = resample.draw(50, 3, 40, seed=7), resample.draw(50, 3, 40, seed=7)
    assert np.array_equal(a.counts, b.counts) and np.array_equal(a.order_weights, b.order_weights)
    assert not np.array_equal(a.counts, resample.draw(50, 3, 40, seed=8).counts)
    np.testing.assert_allclose(a.order_weights.mean(axis=0), 1.0)
    tiny = 1.0 + 1e-6 * np.random.default_rng(0).random((50, 1))
    want = (a.counts.astype(float) * tiny).sum(axis=0) / 50
    np.testing.assert_allclose(a.means(tiny)[0] - 1, want - 1, rtol=1e-5)


def test_static_interval_has_the_textbook_width() -> None:
    x = np.random.default_rng(3).random((1, 4000, 1))
    made = intervals.means(made_up(x, [False]), "quality", resample.draw(4000, n_resample=4000))
    low, high = made.interval()
    assert made.method == [intervals.BY_QUERY]
    assert (high - low)[0] == pytest.approx(2 * 1.96 * x.std() / np.sqrt(4000), rel=0.06)


def test_learner_interval_has_query_and_order_variance() -> None:
    rng = np.random.default_rng(4)
    n_order, n_query = 10, 500
    x = rng.normal(0, 0.02, (n_order, 1, 1)) + rng.normal(0, 0.3, (1, n_query, 1)) + np.zeros((10, 500, 1))
    made = intervals.means(made_up(x, [True]), "quality", resample.draw(n_query, n_order, 8000))
    t_over_z = stats.t.ppf(0.975, 9) / stats.norm.ppf(0.975)
    order_part = t_over_z**2 * x.mean(axis=1)[:, 0].var(ddof=1) / n_order
    want = np.sqrt(x.mean(axis=0)[:, 0].var(ddof=1) / n_query + order_part)
    assert made.draws[0].std() == pytest.approx(want, rel=0.03)
    assert made.draws[0].mean() == pytest.approx(x.mean(), abs=4 * want / np.sqrt(8000))
    assert made.method == [intervals.CROSSED]


def test_one_run_of_a_learner_gets_no_interval_but_a_reason() -> None:
    x = np.random.default_rng(5).random((1, 30, 2))
    made = intervals.means(made_up(x, [True, False]), "quality", resample.draw(30, n_resample=50))
    low, high = made.interval()
    assert np.isnan([low[0], high[0]]).all() and np.isfinite([low[1], high[1]]).all()
    assert made.method == [intervals.ONE_RUN, intervals.BY_QUERY]
    assert made.estimate[0] == pytest.approx(x[0, :, 0].mean())


def test_areas_of_replicates_equal_one_by_one() -> None:
    rng = np.random.default_rng(8)
    quality, cost = rng.random((1, 200, 5)), rng.random((1, 200, 5)) + np.arange(5)
    made = made_up(quality, [False] * 5)
    made.values["cost"] = cost
    r = resample.draw(200, n_resample=30)
    q, c = intervals.means(made, "quality", r), intervals.means(made, "cost", r)
    groups = made.settings["policy"] = pd.Series(["a", "b", "a", "b", "b"])
    names, got = intervals.frontier_areas(made, c, q, (c.take([0, 4]), q.take([0, 4])))
    assert names == ["a", "b"]
    for k in range(30):
        want = lambda_frontier_area(c.draws[[0, 2], k], q.draws[[0, 2], k], c.draws[[0, 4], k], q.draws[[0, 4], k])
        assert got.draws[0, k] == pytest.approx(want, abs=1e-12)
    names, headline = intervals.averages(q, groups)
    np.testing.assert_allclose(headline.draws[1], q.draws[[1, 3, 4]].mean(axis=0))


def test_wrong_resamples_and_levels_are_refused() -> None:
    made = made_up(np.zeros((1, 5, 1)), [False])
    with pytest.raises(UserError, match="5 and 1"):
        intervals.means(made, "quality", resample.draw(6, n_resample=3))
    with pytest.raises(UserError, match="level"):
        intervals.percentile(np.zeros((1, 3)), 95)
    with pytest.raises(UserError, match="at least one"):
        resample.draw(0)


def test_panel_from_decisions() -> None:
    rows = [("fixed", 0, q, 0.1 * q) for q in range(3)] + [("dacr", s, q, q + s) for s in (0, 1) for q in range(3)]
    frame = pd.DataFrame(rows, columns=["policy", "seed", "qid", "quality"])
    frame = frame.assign(lambda_cost=0.0, setting="s", domain="d", qid="q" + frame["qid"].astype(str))
    made = panel.build(frame.sample(frac=1, random_state=1), ["dacr"], ["quality"])
    assert made.n_order == 2 and made.n_query == 3
    fixed, dacr = made.column(policy="fixed"), made.column(policy="dacr")
    np.testing.assert_allclose(made.values["quality"][:, :, fixed], [[0, 0.1, 0.2]] * 2)
    np.testing.assert_allclose(made.values["quality"][:, :, dacr], [[0, 1, 2], [1, 2, 3]])
    assert made.depends[dacr] and not made.depends[fixed]
    with pytest.raises(UserError, match="lacks 1 of 3"):
        panel.build(frame.drop(index=8), ["dacr"], ["quality"])
    with pytest.raises(UserError, match="twice"):
        panel.build(pd.concat([frame, frame.iloc[:1]]), ["dacr"], ["quality"])
    with pytest.raises(UserError, match="names 0"):
        made.column(policy="nobody")
    with pytest.raises(UserError, match="lacks 3 of 3"):
        panel.build(pd.concat([frame.iloc[:6], frame.iloc[:3].assign(seed=1)]), ["dacr"], ["quality"])
