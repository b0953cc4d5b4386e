"""What a try is worth, against a simulation of it and in cases that are plain."""

import numpy as np
import pytest

from dacr.core.rng import generator
from dacr.routers.dacr.knowledge_gradient import TRIES, worth_of_trying


def worth(value: list[float], sd: list[float], left: float = 1000.0, rated: float = 1.0) -> np.ndarray:
    p, out = np.full((1, len(value)), 0.5), np.empty((1, len(value)))
    given = np.array([value]), p, np.array([sd]), np.ones_like(p), np.array([left]), np.array([rated])
    worth_of_trying(*given, out)
    return out[0]


def test_one_try_is_worth_the_expected_rise_of_the_best_value() -> None:
    """With n = 1 and H = 2: (2 - 1) E[max(value + d xi, best) - best], d = .25 s^2 sqrt(.25 / (1 + .25 s^2))."""
    s, gap = 2.0, 0.1
    d = 0.25 * s * s * np.sqrt(0.25 / (1 + 0.25 * s * s))
    draws = generator("knowledge gradient").normal(size=2_000_000)
    simulated = np.maximum(d * draws - gap, 0.0).mean()
    assert worth([0.6, 0.5], [0.0, s], left=2.0)[1] == pytest.approx(simulated, rel=0.005)


def test_nothing_is_learnt_where_all_is_known_or_the_stream_ends() -> None:
    np.testing.assert_allclose(worth([0.6, 0.5], [0.0, 0.0]), 0.0, atol=1e-9)
    np.testing.assert_array_equal(worth([0.6, 0.5], [1.0, 1.0], left=0.0), 0.0)
    np.testing.assert_array_equal(worth([0.6, 0.5], [1.0, 1.0], left=1.0), 0.0)


def test_worth_grows_with_doubt_and_with_what_is_left_and_falls_with_the_gap() -> None:
    assert worth([0.6, 0.5], [0.0, 1.0])[1] > worth([0.6, 0.5], [0.0, 0.5])[1]
    assert worth([0.6, 0.5], [0.0, 1.0], left=2000.0)[1] > worth([0.6, 0.5], [0.0, 1.0], left=1000.0)[1]
    assert worth([0.6, 0.5], [0.0, 1.0])[1] > worth([0.6, 0.4], [0.0, 1.0])[1]


def test_several_tries_are_weighed_where_one_changes_nothing() -> None:
    """At a gap of .2 and s = .5 one rating moves the mean by .03: six sds short; sixteen ratings can do it."""
    sixteen = worth([0.7, 0.5], [0.0, 0.5])[1]
    one = 999 * np.maximum(generator("one try").normal(size=1_000_000) * 0.0303 - 0.2, 0.0).mean()
    assert max(TRIES) > 1 and sixteen > 0.01 > one


def test_ratings_that_seldom_come_teach_less() -> None:
    assert worth([0.6, 0.5], [0.0, 0.5], rated=0.1)[1] < worth([0.6, 0.5], [0.0, 0.5], rated=1.0)[1]


def test_a_model_that_is_not_open_is_worth_nothing_and_no_rival() -> None:
    got = worth([0.6, -np.inf], [1.0, 1.0])
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, 0.0)


def test_two_that_tie_are_each_other_s_runner_up() -> None:
    """At a gap of 0 one try raises the best by d phi(0) = .3989 d; a third model far behind changes nothing."""
    s = 1.0
    d = 0.25 * s * s * np.sqrt(0.25 / (1 + 0.25 * s * s))
    assert worth([0.6, 0.6, 0.1], [s, s, 0.0], left=2.0)[:2] == pytest.approx([0.39894 * d] * 2, rel=1e-4)
