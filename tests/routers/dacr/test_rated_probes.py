"""What a plan's rating says of the probes that it asked, and what plans are taken to cost while many are under way."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.routers.dacr.probes import add_worth_of_probes
from dacr.routers.dacr.router import DacrRouter
from dacr.routers.plans.base import parse_plan
from dacr.routers.plans.paths import paths_of
from dacr.types import Feedback, Floats, Outcomes
from tests.routers.dacr.test_plans_dropped import NAMES, SPEC, UNSEEN, requests, router

__all__ = ["router"]  # a fixture

NOW = requests(1, np.array([UNSEEN]), np.array([0.8, 0.8, 0.98, 0.98]))
PLAN = np.array([3])


def end(router: DacrRouter, agreed: float, times: int) -> None:
    """Let plans end: costs and agreement come, no rating."""
    for _ in range(times):
        cost = 2.0 if agreed else 12.0
        router.observe(Feedback.about(NOW, PLAN, cost_usd=cost, late=0.0, agreed=np.array([agreed])))


def rate(router: DacrRouter, quality: float, same: list[float], times: int = 20) -> Floats:
    """Return how the qualities of the three models move with so many ratings of the plan."""
    before = router.beliefs(NOW).p[0, :3]
    for _ in range(times):
        told = Feedback.about(NOW, PLAN, quality=quality, agreed=np.array([np.nan]))
        object.__setattr__(told, "same", np.array([same]))
        router.observe(told)
    moved: Floats = router.beliefs(NOW).p[0, :3] - before
    return moved


def test_a_probe_that_gave_what_was_shipped_is_as_good(router: DacrRouter) -> None:
    end(router, 1.0, 10)
    assert (rate(router, 1.0, [1.0, 1.0])[:2] > 0.02).all()
    assert (rate(router, 0.0, [1.0, 1.0], 40)[:2] < -0.1).all()


def test_a_probe_that_gave_another_answer_than_the_right_one_was_wrong(router: DacrRouter) -> None:
    end(router, 1.0, 10)
    first, second, _ = rate(router, 1.0, [0.0, 1.0])
    assert first < -0.05 < second
    assert first < second


@pytest.mark.parametrize("settled", [0, 1])
def test_where_models_hardly_agree_other_answers_say_nothing(router: DacrRouter, settled: int) -> None:
    end(router, 1.0, settled)
    end(router, 0.0, 10)
    probes = rate(router, 1.0, [0.0, 0.0])[:2]
    assert (probes >= 0).all(), "they move with what all models share alone"


def test_plans_are_taken_to_go_on_more_often_while_many_are_under_way(router: DacrRouter) -> None:
    first = router.beliefs(NOW).cost_hat[0, 3]
    for _ in range(10):
        assert router.decide(NOW).model[0] == 3
    flying = router.beliefs(NOW).cost_hat[0, 3]
    assert flying > first + 0.5
    for _ in range(10):
        router.withdraw(np.zeros(1, dtype=np.int64), NOW, PLAN)
    assert router.beliefs(NOW).cost_hat[0, 3] == pytest.approx(first)


def test_paths_tell_which_probes_gave_what_was_shipped() -> None:
    answer = np.array([[5, 5, 7], [5, 6, 5], [5, 6, 6], [5, 6, 7], [-1, -1, 7]])
    one = np.ones(answer.shape)
    paths = paths_of([parse_plan(SPEC)], NAMES, Outcomes(one, one, one, one < 0, answer=answer))
    expected = [[True, True], [True, False], [False, True], [False, False], [False, False]]
    np.testing.assert_array_equal(paths.same[:, 0, :2], expected)
    assert not paths.same[:, 0, 2].any(), "whether the fallback is asked depends on the answers"
    told = paths.of_arms("same", np.arange(2), np.array([3, 0]), 4)
    np.testing.assert_array_equal(told, [[1.0, 1.0], [np.nan, np.nan]])


@pytest.mark.parametrize(("ended", "settled", "added"), [(0, 0, 0.0), (10, 1, 0.0), (20, 3, 0.0), (20, 4, 3.0)])
def test_a_plan_is_worth_what_its_probes_may_teach_where_something_is_concluded(
    router: DacrRouter, ended: int, settled: int, added: float
) -> None:
    end(router, 1.0, settled)
    end(router, 0.0, ended - settled)
    worth = np.array([[1.0, 2.0, 4.0, 8.0]])
    add_worth_of_probes(np.zeros(1, dtype=np.int64), NOW.domain, router._state[4], worth)
    np.testing.assert_allclose(worth, [[1.0, 2.0, 4.0, 8.0 + added]])
