"""Risk and coverage: by hand, with ties, and what any confidence must keep to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacr.metrics.metric import measure, registered
from dacr.metrics.selective import area, quality_at, risk_coverage


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
