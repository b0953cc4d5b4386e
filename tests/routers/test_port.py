"""Training-free routing: neighbours and price against brute force, and a budget that holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dacr.contracts.problem import altered, make_problem
from dacr.core.errors import UserError
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import stack
from dacr.routers.port import PortRouter
from dacr.routers.terms import Terms
from dacr.types import Runs


def play(points, problem, n_run_seeds=(1, 2), truth=None):
    n = len(problem.requests)
    seeds = n_run_seeds * len(points)
    runs = Runs(np.tile(np.arange(n), (len(seeds), 1)), problem.requests.arrival_s, seeds)
    off = Pacer(np.full(len(seeds), np.inf), np.full(len(seeds), np.inf), n)
    router = stack([point for point in points for _ in n_run_seeds])
    return router, play_runs(router, problem.requests, truth or problem.truth, runs, FeedbackPlan(3, 0.2), off)


@pytest.fixture(scope="module")
def problem():
    return make_problem(n_test=1500)


def test_estimates_are_means_over_the_nearest_rows(problem):
    router = PortRouter(k=7).fit(problem.train)
    router.start(5, 4, np.arange(5, dtype=np.uint64))
    asked = problem.requests.take(np.arange(5))
    beliefs = router.beliefs(asked)
    x = problem.train.requests.features
    for i in range(5):
        nearest = np.argsort(-(x @ asked.features[i]))[:7]
        np.testing.assert_allclose(beliefs.p[i], problem.train.outcomes.quality[nearest].mean(axis=0))
        np.testing.assert_allclose(beliefs.cost_hat[i], problem.train.outcomes.cost_usd[nearest].mean(axis=0))


def test_the_index_is_bounded_and_seeded(problem):
    one, other = (PortRouter(max_index=30).fit(problem.train) for _ in range(2))
    assert one.index_.shape == (30, 5) and (one.index_ == other.index_).all()
    all_of_them = PortRouter(k=99, max_index=30).fit(problem.train)
    all_of_them.start(len(problem.train), 1, np.zeros(len(problem.train), dtype=np.uint64))
    beliefs, known = all_of_them.beliefs(problem.train.requests), all_of_them.known_.mean(axis=1)
    np.testing.assert_allclose(beliefs.p, np.tile(known[0], (len(beliefs), 1)))
    np.testing.assert_allclose(beliefs.cost_hat, np.tile(known[1], (len(beliefs), 1)))


def test_without_a_budget_it_is_a_price_on_neighbours(problem):
    points = [PortRouter(lambda_cost=value).fit(problem.train) for value in (0.0, 50.0)]
    router, played = play(points, problem, (1,))
    beliefs = router.beliefs(problem.requests)
    for row, price in zip(played.model, (0.0, 50.0), strict=True):
        value = beliefs.p - price * beliefs.cost_hat
        assert (value[np.arange(len(row)), row] == value.max(axis=1)).all()


def test_the_price_is_the_least_that_fits_the_first_part(problem):
    budgets = (0.0004, 0.001, 0.003, 1.0)
    points = [PortRouter(budget_cost=b, lambda_late=0.2, n_first=80).fit(problem.train) for b in budgets]
    router, _ = play(points, problem, (1,))
    first = router.beliefs(problem.requests.take(np.arange(80)))
    own = first.p - 0.2 * first.p_late

    def spending(mu):
        return first.cost_hat[np.arange(80), (own - mu * first.cost_hat).argmax(axis=1)].mean()

    grid = np.geomspace(1e-3, 1e5, 4000)
    assert (np.abs(router._solved_for[:, 0] / budgets - 1) < 0.2).all()
    for budget, mu in zip(router._solved_for[:, 0], router._mu[:, 0], strict=True):
        if spending(0.0) <= budget:
            assert mu == 0.0
            continue
        assert spending(mu * (1 + 1e-9)) <= budget
        fitting = [g for g in grid if spending(g) <= budget]
        assert mu == pytest.approx(fitting[0], rel=0.01)
        dual = [g * budget + (own - g * first.cost_hat).max(axis=1).mean() for g in grid]
        at = mu * budget + (own - mu * first.cost_hat).max(axis=1).mean()
        assert at <= min(dual) + 1e-9, "not the minimum of the dual"


def test_first_part_is_random_with_the_logged_propensity_then_greedy(problem):
    router = PortRouter(budget_cost=0.05, n_first=400).fit(problem.train)
    _, played = play([router], problem, tuple(range(20)))
    early, late = played.propensity[:, 50:400], played.propensity[:, 400:]
    assert (early == 0.25).all() and (late == 1.0).mean() > 0.9  # the rest are ties
    share = np.bincount(played.model[:, 50:400].ravel(), minlength=4) / early.size
    np.testing.assert_allclose(share, 0.25, atol=0.02)


@pytest.mark.parametrize("factor", [1.25, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("dearer", [1.0, 3.0])
def test_the_budget_holds_even_where_costs_are_underestimated(problem, factor, dearer):
    truth = replace(problem.truth, cost_usd=problem.truth.cost_usd * dearer)
    budget = factor * truth.cost_usd.mean(axis=0).min()
    router = PortRouter(budget_cost=budget).fit(problem.train)
    _, played = play([router], problem, truth=truth)
    spent = played.cost_usd.mean(axis=1)
    assert (spent <= 1.01 * budget).all()
    if dearer == 1.0 and factor <= 5:
        assert (spent >= 0.85 * budget).all()


def test_ratings_are_not_read(problem):
    router = PortRouter(budget_cost=0.002).fit(problem.train)
    _, before = play([router], problem)
    everything = np.ones(problem.truth.quality.shape, dtype=bool)
    other = replace(problem.truth, quality=altered(problem.truth, everything).quality)
    _, after = play([router], problem, truth=other)
    assert (before.model == after.model).all()


def test_the_arena_may_close_models_and_price_lateness(problem):
    asked = problem.requests.take(np.arange(3))
    router = stack([PortRouter(budget_cost=9.0, n_first=1).fit(problem.train) for _ in range(3)])
    router.start(3, 4, np.arange(3, dtype=np.uint64))
    only = np.eye(4, dtype=bool)[[2, 2, 0]]
    ruled = Terms(np.zeros((3, 1)), np.zeros((3, 1)), lambda _: only, lambda *_: None)
    assert (router.decide(asked, ruled).model == [2, 2, 0]).all()
    hurried = Terms(np.full((3, 1), 1e9), np.full((3, 1), 1e9), lambda _: None, lambda *_: None)
    assert (router.decide(asked, hurried).model == asked.p_late.argmin(axis=1)).all()


def test_a_first_part_of_nothing_is_refused():
    with pytest.raises(UserError, match="n_first=0"):
        PortRouter(n_first=0)
