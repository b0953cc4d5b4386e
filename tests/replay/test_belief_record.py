"""What a learner believed is recorded before each decision and after the last, and recording changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts.problem import Problem, fitted_points, make_problem
from dacr.replay import beliefs
from dacr.replay.entry import Entry, Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.play import play
from dacr.replay.protocols.effects import Effects
from dacr.replay.world import World
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Played, Runs

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(n_test=40)


def played(problem: Problem, name: str, record: bool, effects: Effects | None = None) -> list[Played]:
    points = tuple(Point(f"{k}", router) for k, router in enumerate(fitted_points(name, problem.train)))
    n = len(problem.requests)
    order = np.stack([np.roll(np.arange(n), k) for k in SEEDS])
    runs = Runs(order, problem.requests.arrival_s, SEEDS)
    world = World(FeedbackPlan(2, 0.3), 5.0, n, 0.05, problem.truth, runs, runs, effects=effects, record_beliefs=record)
    return play(Entry(name, points, problem.requests), world)


@pytest.mark.parametrize("name", ["dacr", "dacr_full"])
def test_beliefs_about_the_called_model_are_those_it_was_called_on(problem: Problem, name: str) -> None:
    kept = played(problem, name, record=True)
    assert [one.p_before is not None for one in kept] == [True, False]  # of two points the first is the middle
    one = kept[0]
    assert one.p_before is not None and one.p_after is not None and one.p_before.shape == (3, 40, 4)
    run = np.arange(3)[:, None]
    np.testing.assert_allclose(one.p_before[run, one.row, one.model], one.p_hat, atol=1e-6)
    assert np.isfinite(one.p_before).all() and np.isfinite(one.p_after).all()
    assert np.abs(one.p_before - one.p_after).max() > 0.02
    for a, b in zip(kept, played(problem, name, record=False), strict=True):
        np.testing.assert_array_equal(a.model, b.model)
        np.testing.assert_array_equal(a.p_hat, b.p_hat)
        assert b.p_before is None and b.p_after is None


def test_after_the_stream_is_what_it_would_believe_of_the_next_request(problem: Problem) -> None:
    one = played(problem, "dacr", record=True)[0]
    assert one.p_after is not None
    # A stream that brings all requests twice in the same order, ratings of the first round told before the second.
    n = len(problem.requests)
    router = fitted_points("dacr", problem.train)[0]
    assert isinstance(router, DacrRouter)
    twice = np.concatenate([np.arange(n), np.arange(n)])
    requests, truth = problem.requests.take(twice), problem.truth.take(twice)
    runs = Runs(np.concatenate([one.row[:1], one.row[:1] + n], axis=1), np.arange(2.0 * n) * 0.4, SEEDS[:1])
    world = World(FeedbackPlan(0, 0.0), 5.0, None, 0.05, truth, runs, runs, record_beliefs=True)
    (again,) = play(Entry("dacr", (Point("", router),), requests), world)
    half = World(
        FeedbackPlan(0, 0.0), 5.0, None, 0.05, problem.truth,
        *(Runs(one.row[:1], np.arange(float(n)) * 0.4, SEEDS[:1]),) * 2, record_beliefs=True,
    )  # fmt: skip
    (first,) = play(Entry("dacr", (Point("", router),), problem.requests), half)
    assert again.p_before is not None and first.p_after is not None
    row = one.row[0, 0]
    # Its own arrival moves the running centre a little, which p_after does not have.
    np.testing.assert_allclose(first.p_after[0, row], again.p_before[0, n + row], atol=0.02)
    assert np.abs(first.p_after[0, row] - again.p_before[0, row]).max() > 0.02


def test_nothing_is_kept_of_others_or_of_too_many(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(one.p_before is None for one in played(problem, "linucb", record=True))
    monkeypatch.setattr(beliefs, "MOST_CELLS", 3 * 40 * 4 - 1)
    assert all(one.p_before is None for one in played(problem, "dacr", record=True))
