"""Risk and coverage: by hand, with ties, and what any confidence must keep to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacr.metrics.metric import measure, registered
from dacr.metrics.selective import accept_threshold, area, quality_at, risk_coverage


def test_the_curve_by_hand() -> None:
    # Order .9, .8, .3: risks 0, 1, .5 -> running means 0, 1/2, 1/2.
    confidence, quality = np.array([0.3, 0.9, 0.8]), np.array([0.5, 1.0, 0.0])
    coverage, risk = risk_coverage(confidence, quality)
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [0, 0.5, 0.5])
    assert area(risk) == pytest.approx(1 / 3)
    assert quality_at(risk, 1 / 3) == 1.0 and quality_at(risk, 0.5) == 0.5


def test_a_request_that_was_not_served_has_no_confidence() -> None:
    assert risk_coverage(np.array([np.nan, 0.5]), np.array([0.0, 1.0]))[1].tolist() == [0.0]
    _, none = risk_coverage(np.array([np.nan]), np.array([0.0]))
    assert np.isnan(area(none)) and np.isnan(quality_at(none, 0.8))


def test_columns_of_one_run_after_another() -> None:
    named = {one.name: one for one in registered() if one.columns == ("p_hat", "quality")}
    assert {"aurc", "quality_at_80", "quality_at_90", "quality_at_95"} <= set(named)
    for quality in (np.array([1.0, 0.0, 0.5, 1.0]), np.array([0.0, 0.0, 0.5, 1.0])):
        run = {"p_hat": np.array([0.9, 0.1, 0.5, 0.4]), "quality": quality}
        found = measure(run, list(named.values()))
        assert found["aurc"] == area(risk_coverage(run["p_hat"], quality)[1])
        assert found["quality_at_95"] == pytest.approx(quality.mean())
        assert found["quality_at_80"] == found["quality_at_95"], "four fifths of four answers are four"


def test_weights_count_as_repeated_answers() -> None:
    confidence, quality = np.array([0.9, 0.5, 0.2]), np.array([1.0, 0.0, 1.0])
    _, risk = risk_coverage(confidence, quality, np.array([1.0, 2.0, 1.0]))
    _, repeated = risk_coverage(confidence[[0, 1, 1, 2]], quality[[0, 1, 1, 2]])
    np.testing.assert_allclose(risk, repeated[[0, 2, 3]])


answers = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.4, 0.7, 0.95]), st.floats(0, 1)), min_size=1, max_size=40)


@given(answers, st.randoms())
def test_ties_have_no_order_and_all_answers_give_the_mean(pairs: list[tuple[float, float]], random: object) -> None:
    confidence, quality = np.array(pairs).T
    coverage, risk = risk_coverage(confidence, quality)
    assert risk[-1] == pytest.approx(1 - quality.mean()) and coverage[-1] == 1.0
    random.shuffle(pairs)  # type: ignore[attr-defined]
    other, shuffled = np.array(pairs).T
    np.testing.assert_allclose(risk_coverage(other, shuffled)[1], risk, atol=1e-12)
    assert quality_at(risk, 1.0) == pytest.approx(quality.mean())
    _, blind = risk_coverage(np.full(len(quality), 0.3), quality)
    assert area(blind) == pytest.approx(1 - quality.mean())


def test_thresholds_by_hand() -> None:
    none = np.zeros(0)
    assert accept_threshold(none, none, 0.9) == np.inf and accept_threshold(none, none, 1.0) == np.inf
    # Four right answers of one confidence: (0 + 1) / 5 at stake, all or none.
    same, right = np.full(4, 0.7), np.ones(4)
    assert accept_threshold(same, right, 0.2) == 0.7 and accept_threshold(same, right, 0.19) == np.inf
    # Ties are accepted together: the wrong one among them counts for both.
    assert accept_threshold(np.array([0.9, 0.5, 0.5]), np.array([1.0, 1.0, 0.0]), 0.3) == 0.9


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.4, 0.8]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1),
       st.sampled_from([0.05, 0.1, 0.3, 0.6]))  # fmt: skip
def test_a_threshold_is_the_least_that_keeps_its_level(answers: list[tuple[float, float]], alpha: float) -> None:
    confidence, quality = np.array(answers).T
    at = accept_threshold(confidence, quality, alpha)

    def at_stake(least: float) -> float:
        return (float((1 - quality)[confidence >= least].sum()) + 1) / (len(quality) + 1)

    lower = np.unique(confidence[confidence < at])
    assert at == np.inf or at_stake(at) <= alpha + 1e-9
    assert all(at_stake(one) > alpha for one in lower)


def test_the_level_is_kept_in_expectation_where_requests_are_alike() -> None:
    """2,000 draws of 60 training answers and one more: confidence says something, and is not calibrated."""
    rng = np.random.default_rng(7)
    p = rng.uniform(0.2, 1.0, (2000, 61))
    quality = (rng.random(p.shape) < p**2).astype(float)
    for alpha in (0.1, 0.2):
        least = np.array([accept_threshold(p[k, :60], quality[k, :60], alpha) for k in range(len(p))])
        lost = (1 - quality[:, 60]) * (p[:, 60] >= least)
        assert lost.mean() < alpha + 3 * np.sqrt(alpha / len(p)), "not above the level"
        assert lost.mean() > alpha - 1 / 61 - 3 * np.sqrt(alpha / len(p)), "and no lower than it has to be"
