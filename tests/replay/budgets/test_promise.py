"""Budgets that are kept to the cent: the most that a call can cost is reserved before it is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dacr.contracts.problem import make_problem
from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.core.rng import generator
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.entry import Entry, Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.play import play
from dacr.replay.protocols.combined import parse
from dacr.replay.settings import WorldSettings
from dacr.replay.stepped import play_runs
from dacr.replay.world import World
from dacr.routers.base import Sweep, stack, with_setting
from dacr.types import SHED, Played, Runs

N, N_MODEL, N_ORDER = 600, 3, 4
BUDGETS = (2e-4, 5e-4, 1e-3, 3e-3)
NAMES = ("dacr", "static", "linucb", "port", "zero", "dacr_eq9", "random")


def played(name: str, bounded: bool, tail: float, protocol: str = "", horizon: int | None = N) -> list[Played]:
    """Play a router at four budgets on costs with a heavy tail, whose predictions are the mean."""
    problem = make_problem(n_train=200, n_test=N, n_model=N_MODEL)
    cost = np.array([1e-4, 1e-3, 4e-3]) * generator("heavy tails", str(tail)).pareto(tail, (N, N_MODEL))
    mean, upper = (np.tile(one, (N, 1)) for one in (cost.mean(axis=0), np.quantile(cost, 0.95, axis=0)))
    requests = problem.requests.with_(cost_hat=mean, cost_upper=upper)
    truth = replace(problem.truth, cost_usd=cost)
    order = np.stack([generator("order", k).permutation(N) for k in range(N_ORDER)])
    runs = Runs(order, np.sort(requests.arrival_s), tuple(range(N_ORDER)))
    effects = parse(protocol).effects(N, requests.models, 0)
    most = np.broadcast_to(cost.max(axis=0), cost.shape) if bounded else None
    world = World(
        FeedbackPlan(5, 0.3),
        5.0,
        horizon,
        0.05,
        truth,
        runs,
        runs,
        effects=effects if effects.any else None,
        most_usd=most,
    )
    cls = routers.get(name)
    setting = cls.budget_setting(Sweep(lambdas=(0.0,)))
    fitted = cls(**setting).fit(problem.train)
    told = [{"budget_cost": budget} if cls.budget == "own" else {} for budget in BUDGETS]
    points = (
        Point(str(b), with_setting(fitted, setting | own), b, enforced=True)
        for b, own in zip(BUDGETS, told, strict=True)
    )
    return play(Entry(name, tuple(points), requests), world)


def over(results: list[Played]) -> np.ndarray:
    """Return what each run spent beyond its budget, in nano-dollars: (n_budget, n_run)."""
    spent = [
        np.rint(one.cost_usd * 1e9).sum(axis=1) - np.rint(budget * N * 1e9)
        for one, budget in zip(results, BUDGETS, strict=True)
    ]
    return np.array(spent)


@pytest.mark.parametrize("tail", [1.1, 1.5])
@pytest.mark.parametrize("name", NAMES)
def test_no_run_is_over_whatever_the_tail(name: str, tail: float) -> None:
    assert (over(played(name, True, tail)) <= 0).all()


def test_without_the_bound_some_runs_are_over() -> None:
    assert (np.concatenate([over(played(name, False, 1.1)) for name in NAMES[:3]]) > 0).any()


@pytest.mark.parametrize("protocol", ["late_joiner:model=model0", "drift"])
@pytest.mark.parametrize("name", ["dacr", "static"])
def test_no_run_is_over_where_models_join_late(name: str, protocol: str) -> None:
    assert (over(played(name, True, 1.1, protocol)) <= 0).all()


def test_no_run_is_over_where_the_horizon_is_unknown_or_too_short() -> None:
    for horizon in (None, N // 2):
        assert (over(played("static", True, 1.1, horizon=horizon)) <= 0).all()


def test_what_does_not_fit_is_shed_and_costs_nothing() -> None:
    tight = played("static", True, 1.1)[0]
    shed = tight.model == SHED
    assert shed.any() and (tight.cost_usd[shed] == 0).all() and (tight.quality[shed] == 0).all()
    assert (tight.attempts[shed] == 0).all()


def test_a_large_purse_sheds_nothing() -> None:
    assert all((played(name, True, 1.5)[-1].model != SHED).mean() > 0.97 for name in ("dacr", "static"))


def test_dear_calls_leave_room_for_the_cheapest_by_hand() -> None:
    """20 USD; a cheap call may cost 2, a dear one 9. With n cheap calls out 20 - 2 n is free, 2 (n + 1) for others."""
    asked = make_problem(n_test=1, n_model=2).requests.with_(
        cost_hat=np.array([[0.01, 0.02]]), cost_upper=np.array([[0.01, 0.02]])
    )
    for n_flying, dear in [(0, True), (2, True), (3, False)]:
        pacer = Pacer(np.array([1.0]), np.array([np.inf]), horizon=20, most_usd=np.array([[2.0, 9.0]]))
        pacer.meet(np.array([0]))
        for _ in range(n_flying):
            pacer.reserve(asked, np.array([0]))
        is_open = pacer.open_to(asked)
        assert is_open is not None and is_open.tolist() == [[True, dear]], n_flying


def test_what_was_not_called_is_neither_in_flight_nor_tried() -> None:
    """After all bills have come nothing is in flight, and what counts as tried was called."""
    problem = make_problem(n_train=200, n_test=N, n_model=N_MODEL)
    truth = replace(problem.truth, cost_usd=np.full((N, N_MODEL), 1e-3))
    runs = Runs(np.arange(N)[None, :], np.sort(problem.requests.arrival_s), (1,))
    for name, budget in (("port", {"budget_cost": 2e-4}), ("dacr", {})):
        router = stack([routers.get(name)(**budget).fit(problem.train)])
        pacer = Pacer(np.array([2e-4]), np.array([np.inf]), N, most_usd=np.full((N, N_MODEL), 2e-3))
        result = play_runs(router, problem.requests, truth, runs, FeedbackPlan(5, 0.3), pacer)
        called = (result.model != SHED).sum()
        assert 0 < called < N
        if name == "port":
            np.testing.assert_allclose(router._in_flight, 0.0, atol=1e-12)
        else:
            assert router._under_way._calls.sum() == called


def test_without_a_budget_the_bound_refuses_nothing() -> None:
    problem, off = make_problem(n_train=200, n_test=N, n_model=N_MODEL), np.array([np.inf])
    runs = Runs(np.arange(N)[None, :], np.sort(problem.requests.arrival_s), (1,))
    router = stack([routers.get("dacr")().fit(problem.train)])
    pacer = Pacer(off, off, N, most_usd=np.full((N, N_MODEL), 2e-3))
    assert (play_runs(router, problem.requests, problem.truth, runs, FeedbackPlan(5, 0.3), pacer).model != SHED).all()


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "train", "0.1 USD"])
def test_a_wrong_bound_is_one_line(wrong: str) -> None:
    with pytest.raises(UserError, match="--max_call_usd: got"):
        WorldSettings(max_call_usd=wrong)
