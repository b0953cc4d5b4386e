"""Calibration in groups from sums by bin, and intervals in closed form, against the slow ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm, t

from dacr.core.rng import generator
from dacr.metrics.calibration.bins import Groups, bin_sums
from dacr.metrics.calibration.grouped import grouped_calibration
from dacr.metrics.calibration.measures import FROM_SUMS, from_sums, measures, slopes
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.metrics.resample import draw
from dacr.types import Floats
from tests.metrics.calibration.bootstrap import bootstrap

DOMAINS = np.array(["mmlu-law", "mbpp", "mmlu-art", "mbpp", "mmlu-art", "gsm"], dtype=object)


def pairs(n: int, name: str, n_model: int = 3, shift: float = 0.4, together: float = 0.7) -> tuple[Floats, Floats]:
    """Predictions that are ``shift`` off in logits, outcomes of a query's models that move together."""
    rng = generator("grouped", name, n)
    p = expit(rng.normal(0, 1, (n, n_model)))
    truth = expit(logit(p) + shift + together * rng.normal(size=(n, 1)))
    return p, np.where(rng.uniform(size=(n, n_model)) < 0.2, 0.5, rng.uniform(size=(n, n_model)) < truth)


def test_groups_by_hand() -> None:
    groups = Groups.of(DOMAINS)
    assert groups.names == ("all", "gsm", "mbpp", "mmlu-art", "mmlu-law", "family:mmlu")
    np.testing.assert_array_equal(groups.levels[1], [4, 2, 3, 2, 3, 1])
    np.testing.assert_array_equal(groups.levels[2], [5, -1, 5, -1, 5, -1])
    np.testing.assert_array_equal(groups.members[5], [0, 0, 1, 1])
    assert [groups.names[k] for k in groups.families] == ["gsm", "mbpp", "family:mmlu"]
    assert Groups.of(np.array(["a", "a"], dtype=object)).names == ("all", "a")


def test_measures_equal_those_of_the_rows() -> None:
    p, q = pairs(240, "equal")
    domain = DOMAINS[np.arange(240) % 6]
    groups = Groups.of(domain)
    found = grouped_calibration(p[None], q, groups, learner=False)
    for k, name in enumerate(groups.names):
        rows = np.isin(domain, [d for d in set(domain) if name in ("all", d, f"family:{d.split('-')[0]}")])
        for m in range(4):
            a, b = (p[rows], q[rows]) if m == 3 else (p[rows][:, [m]], q[rows][:, [m]])
            slow = measures(a.ravel(), b.ravel())
            for column in FROM_SUMS:
                assert found[column][k, m] == pytest.approx(slow[column][0], rel=1e-9, abs=1e-12), (name, m, column)


def test_pairs_that_are_not_scored_count_for_nothing() -> None:
    p, q = pairs(60, "left out")
    p[::3, 1] = np.nan
    groups = Groups.of(DOMAINS[np.arange(60) % 6])
    found = grouped_calibration(p[None], q, groups, learner=False)
    kept = np.isfinite(p[:, 1])
    slow = measures(p[kept, 1], q[kept, 1])
    assert found["n"][0].tolist() == [60, 40, 60, 160]
    assert found["ece"][0, 1] == pytest.approx(slow["ece"][0])
    none = grouped_calibration(np.full((1, 60, 3), np.nan), q, groups, learner=False)
    assert (none["n"] == 0).all() and np.isnan(none["ece"]).all() and np.isnan(none["ece_high"]).all()


@pytest.mark.parametrize(("n", "shift"), [(150, 0.5), (1000, 0.15)])
def test_widths_agree_with_the_bootstrap_by_query(n: int, shift: float) -> None:
    p, q = pairs(n, "bootstrap", shift=shift)
    found = grouped_calibration(p[None], q, Groups.of(np.full(n, "a", dtype=object)), learner=False)
    counts = draw(n, n_resample=1500).counts
    query = np.repeat(np.arange(n), 3)
    model = np.tile(np.arange(3), n)
    single = bootstrap(p.ravel(), q.ravel(), model, 3, query, counts)
    pooled = bootstrap(p.ravel(), q.ravel(), np.zeros_like(model), 1, query, counts)
    # The debiased ECE is noisier than the plain one, whose spread the bootstrap shows, the more the fainter its gaps.
    for column, centre, least, most in (("ece", "ece_debiased", 0.95, 1.35), ("brier", "brier", 0.93, 1.07)):
        sd = (found[f"{column}_high"][0] - found[centre][0]) / norm.ppf(0.975)
        ratio = sd / [*getattr(single, column).std(axis=1), getattr(pooled, column).std()]
        assert (ratio > least).all() and (ratio < most).all(), ratio


def test_intervals_of_runs_by_hand() -> None:
    """Two queries' residuals, known to the digit: variance of averages over runs, and of the runs' values."""
    p = np.array([[[0.5], [0.5], [0.5]], [[0.7], [0.7], [0.7]]])
    q = np.array([[1.0], [0.0], [1.0]])
    groups = Groups.of(np.full(3, "a", dtype=object))
    found = grouped_calibration(p, q, groups, learner=True)
    brier = np.array([0.25, (0.09 + 0.49 + 0.09) / 3])
    average = np.array([(0.25 + 0.09) / 2, (0.25 + 0.49) / 2, (0.25 + 0.09) / 2])
    by_query = average.var(ddof=1) / 3
    between = brier.var(ddof=1) / 2 * (t.ppf(0.975, 1) / norm.ppf(0.975)) ** 2
    assert found["brier"][0, 0] == pytest.approx(brier.mean())
    expected = brier.mean() + norm.ppf(0.975) * np.sqrt(by_query + between)
    assert found["brier_high"][0, 0] == pytest.approx(expected)
    alone = grouped_calibration(p[:1], q, groups, learner=True)
    for end in ("ece_low", "ece_high", "brier_low", "brier_high"):
        assert np.isnan(alone[end]).all()
    assert np.isfinite(alone["ece"]).all()


def test_equal_runs_have_the_interval_of_one_sample() -> None:
    p, q = pairs(120, "same")
    groups = Groups.of(DOMAINS[np.arange(120) % 6])
    one = grouped_calibration(p[None], q, groups, learner=False)
    ten = grouped_calibration(np.repeat(p[None], 10, axis=0), q, groups, learner=True)
    for name in one:
        np.testing.assert_allclose(ten[name], one[name], atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.25, 0.6])
def test_coverage_of_the_true_ece(shift: float) -> None:
    """A perfectly calibrated predictor has an interval that begins at 0; a biased one is covered."""
    big_p = expit(generator("coverage law").normal(0, 1, 400_000))
    true = float(np.abs(expit(logit(big_p) + shift) - big_p).mean())
    groups = Groups.of(np.full(400, "a", dtype=object))
    hits = []
    for k in range(500):
        p, q = pairs(400, f"coverage {k}", n_model=2, shift=shift, together=0.0)
        q = (generator("coverage", k).uniform(size=p.shape) < expit(logit(p) + shift)).astype(float)
        found = grouped_calibration(p[None], q, groups, learner=False)
        hits.append((found["ece_low"][0] <= true) & (true <= found["ece_high"][0]))
    cover = np.mean(hits, axis=0)
    assert (cover > 0.9).all(), cover


def test_sums_are_additive() -> None:
    p, q = pairs(90, "add", n_model=1)
    both = bin_sums(p[:, 0], q[:, 0], np.arange(90) % 2, 2)
    whole = bin_sums(p[:, 0], q[:, 0], np.zeros(90, dtype=np.int64), 1)
    np.testing.assert_allclose(both.sum(axis=1), whole[:, 0])
    assert from_sums(whole)["n"].tolist() == [90.0]


def test_slope_of_a_gap_lost_in_noise_and_of_a_clear_one() -> None:
    """Two rows each in two bins: gaps 0 and 0.9 (constant), and one with a known noise."""
    p = np.array([0.5, 0.5, 0.03, 0.03, 0.97, 0.97, 0.97])
    q = np.array([0.0, 1.0, 0.93, 0.93, 0.0, 1.0, 1.0])
    h, rest, null = slopes(bin_sums(p, q, np.zeros(7, dtype=np.int64), 1))
    assert h[0, 7] == 0.0 and null[0, 7] == pytest.approx((1 - 2 / np.pi) * 0.5 / 2)
    assert h[0, 0] == 1.0 and rest[0, 0] == 0.0
    # Var F of a standard normal with F = 2 |G| - E|N(G, 1)|, by simulation.
    z = generator("slopes").normal(size=2_000_000)
    folded = np.sqrt(2 / np.pi) * np.exp(-np.square(z) / 2) + z * (1 - 2 * norm.cdf(-z))
    assert rest[0, 7] / 0.25 == pytest.approx((2 * np.abs(z) - folded).var(), rel=0.01)
    u = (2 / 3 - 0.97) / np.sqrt((1 / 3) / 3)
    assert h[0, 14] == pytest.approx(-(2 * (2 * norm.cdf(-u) - 1) - (2 * norm.cdf(-u / np.sqrt(2)) - 1)))


def test_degenerate_groups_are_defined_and_finite() -> None:
    """One query in a domain, one class, a constant predictor, probabilities of exactly 0 and 1."""
    domain = np.array(["one", "same", "same", "sure", "sure", "flat", "flat", "flat"], dtype=object)
    p = np.array([0.3, 0.2, 0.9, 0.0, 1.0, 0.4, 0.4, 0.4])[:, None]
    q = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.5])[:, None]
    groups = Groups.of(domain)
    found = grouped_calibration(p[None], q, groups, learner=False)
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    place = {name: k for k, name in enumerate(groups.names)}
    assert found["ece"][place["one"], 0] == pytest.approx(0.7)
    assert found["ece"][place["sure"], 0] == found["ece_low"][place["sure"], 0] == 1.0  # no doubt about either bin
    assert found["ece"][place["flat"], 0] == pytest.approx(0.1) and found["ece_low"][place["flat"], 0] == 0.0
    assert (found["ece_low"] <= found["ece_high"]).all()
    bins = pd.DataFrame(pooled_bins(p[None], q, groups, list(range(len(groups.names)))))
    some = bins[bins["n"] > 0]
    columns = ["mean_p", "mean_q", "mean_q_low", "mean_q_high"]
    assert np.isfinite(some[columns].to_numpy()).all() and (some["mean_q_low"] <= some["mean_q_high"]).all()
