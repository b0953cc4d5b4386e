"""No leak and no anticipation, for every registered router, also under budgets, queues and protocols."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dacr.core.registry import routers
from dacr.types import Outcomes
from tests.contracts.problem import WORLDS, Problem, World, altered, fitted_points, make_problem, play_in

DELAY = 3
NAMES = [
    name
    for name in routers.names()
    if not routers.get(name).clairvoyant and not routers.get(name).several_attempts
]  # fmt: skip
IN_EACH = pytest.mark.parametrize("world", WORLDS, ids=str)
FOR_ALL = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem()


@pytest.fixture(scope="module")
def fitted(problem: Problem):
    """Routers at the first point of their frontier, fitted once."""
    return {name: fitted_points(name, problem.train)[0] for name in NAMES}


def same(one: np.ndarray, other: np.ndarray, until: int) -> bool:
    return bool(np.array_equal(one[:, :until], other[:, :until], equal_nan=True))


def decided_alike(one, other, until: int) -> bool:
    """Say whether everything that shows of the decisions before ``until`` is bit for bit the same."""
    names = ("model", "propensity", "p_hat", "cost_hat", "p_late")
    return all(same(getattr(one, name), getattr(other, name), until) for name in names)


def test_there_is_something_to_test() -> None:
    assert len(NAMES) > 15 and len({str(world) for world in WORLDS}) == len(WORLDS) >= 5


@FOR_ALL
@IN_EACH
def test_models_that_were_not_called_tell_nothing(name: str, world: World, problem: Problem, fitted) -> None:
    if routers.get(name).full_information:
        pytest.skip("it is told every model's outcome: that is what it is for")
    before = play_in(world, [fitted[name]], problem.requests, problem.truth, DELAY)
    called = np.zeros(problem.truth.quality.shape, dtype=bool)
    called[before.row[0], before.model[0]] = True
    after = play_in(world, [fitted[name]], problem.requests, altered(problem.truth, ~called), DELAY)
    assert decided_alike(before, after, len(problem.requests))
    for column in ("quality", "cost_usd", "latency_s"):
        np.testing.assert_array_equal(getattr(before, column), getattr(after, column))
    if before.price_cost is not None:
        np.testing.assert_array_equal(before.price_cost, after.price_cost)
        np.testing.assert_array_equal(before.price_late, after.price_late)


@pytest.mark.parametrize("name", [name for name in NAMES if routers.get(name).full_information])
def test_twins_are_not_told_of_a_model_before_it_joins(name: str, problem: Problem, fitted) -> None:
    [world] = [world for world in WORLDS if "late_joiner:model=model2" in world.protocol]  # at the middle of the stream
    n = len(problem.requests)
    before = play_in(world, [fitted[name]], problem.requests, problem.truth, DELAY)
    assert np.isfinite(before.p_hat).all()
    for rows, changes in ((slice(0, n // 2), False), (slice(n // 2, n), True)):
        where = np.zeros(problem.truth.quality.shape, dtype=bool)
        where[rows, problem.requests.models.index("model2")] = True
        where[before.row[0], before.model[0]] = False
        after = play_in(world, [fitted[name]], problem.requests, altered(problem.truth, where), DELAY)
        assert decided_alike(before, after, n) != changes


def only(name: str, truth: Outcomes, other: Outcomes) -> Outcomes:
    """Return the truth with one kind of outcome of the other."""
    changes = {"latency_s": ("latency_s", "late")}.get(name, (name,))
    return replace(truth, **{change: getattr(other, change) for change in changes})


@FOR_ALL
@IN_EACH
def test_no_outcome_acts_before_it_is_due(name: str, world: World, problem: Problem, fitted) -> None:
    """Alter all about one request, for every model: quality acts when its rating is due, bills when calls end."""
    point = fitted[name]
    all_at_once = point.full_information
    before = play_in(world, [point], problem.requests, problem.truth, DELAY)
    arrival_s = problem.requests.arrival_s
    further = {"protocols": 3, "all": 1}.get(world.name, 0)
    for t in (0, 30):
        where = np.zeros(problem.truth.quality.shape, dtype=bool)
        where[before.row[0, t]] = True
        other = altered(problem.truth, where)
        for kind in ("quality", "cost_usd", "latency_s"):
            after = play_in(world, [point], problem.requests, only(kind, problem.truth, other), DELAY)
            if all_at_once:
                due = t + 1
            elif kind == "quality":
                due = t + 1 + DELAY + further
            else:
                # The earlier of both ends: one that comes sooner is news sooner.
                finish = arrival_s[t] + min(before.latency_s[0, t], after.latency_s[0, t])
                due = max(int(np.searchsorted(arrival_s, finish)), t + 1)
            assert decided_alike(before, after, due), (kind, t)
            if kind == "quality" and not point.learns:
                assert decided_alike(before, after, len(arrival_s)), "it does not learn, and no budget knows of quality"


@pytest.mark.parametrize("name", [name for name in NAMES if routers.get(name).learns])
def test_what_is_due_does_act(name: str, problem: Problem, fitted) -> None:
    """The other side: the tests above would pass with a router that ignores everything."""
    if not getattr(routers.get(name), "reads_quality", True):
        pytest.skip("it learns from costs alone")
    point = fitted[name]
    for world in WORLDS[:3]:
        before = play_in(world, [point], problem.requests, problem.truth, DELAY)
        everything = np.ones(problem.truth.quality.shape, dtype=bool)
        other = only("quality", problem.truth, altered(problem.truth, everything))
        after = play_in(world, [point], problem.requests, other, DELAY)
        assert not decided_alike(before, after, len(problem.requests)), str(world)


@pytest.mark.parametrize("name", ["predict_optimize", "dacr", "port", "random"])
def test_bills_act_on_those_who_have_a_budget(name: str, problem: Problem, fitted) -> None:
    everything = np.ones(problem.truth.quality.shape, dtype=bool)
    for world, kind in ((WORLDS[0], "cost_usd"), (WORLDS[1], "latency_s")):
        before = play_in(world, [fitted[name]], problem.requests, problem.truth, DELAY)
        dearer = only(kind, problem.truth, altered(problem.truth, everything))
        after = play_in(world, [fitted[name]], problem.requests, dearer, DELAY)
        assert not same(before.model, after.model, len(problem.requests)), str(world)
