"""Rivals that read agreement: worked by hand, and blind to answers that they did not ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dacr.contracts.problem import SWEEP, Problem, standard
from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform
from dacr.estimates.answers.read import UNREAD
from dacr.replay.static import play_static
from dacr.routers.agreement_cascade import _LABELLED, N_LABELLED, AgreementCascadeRouter, vote
from dacr.routers.cascade_routing import CascadeRoutingRouter
from dacr.routers.fixed_gate import FixedGateRouter
from dacr.types import Outcomes, Played, Runs

COST = np.array([1.0, 1.5, 3.0, 100.0])
RIVALS = ("agreement_cascade", "cascade_agreement", "cascade_routing", "consensus_random", "fixed_gate")


def problem(answer: list[list[int]], right: list[int], times: int = 50) -> Problem:
    """Four models; an answer is right where it is that of its row. Training and test are the same."""
    given = np.tile(np.array(answer), (times, 1))
    n = len(given)
    rows = standard().requests.take(np.arange(n) % len(standard().requests))
    rows = rows.with_(key=np.arange(n, dtype=np.uint64), cost_hat=np.tile(COST, (n, 1)))
    quality = (given == np.tile(right, times)[:, None]).astype(float)
    late = np.zeros(given.shape, dtype=bool)
    truth = Outcomes(quality, np.tile(COST, (n, 1)), np.ones(given.shape), late, answer=given)
    return Problem(replace(standard().train, requests=rows, outcomes=truth), rows, truth)


def played(router: object, at: Problem) -> Played:
    n = len(at.requests)
    return play_static(router, at.requests, at.truth, Runs(np.arange(n)[None], np.arange(n, dtype=float), (1,)))


# The first three models err apart from each other, the last never does.
APART = problem([[0, 0, 1, 0], [0, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 5, 6, 0]], [0] * 6)


def test_a_fixed_gate_by_hand() -> None:
    router = FixedGateRouter(lambda_cost=0.0).fit(APART.train)
    # Right answers in training: 5, 4, 4 and 6 of 6; models 0 and 1 are the two best under a tenth of model 3's price.
    assert router.members() == [0, 1, 3]
    got = played(router, APART)
    assert got.attempts[0, :6].tolist() == [2, 3, 3, 2, 2, 3]
    assert got.cost_usd[0, :6].tolist() == [2.5, 102.5, 102.5, 2.5, 2.5, 102.5]
    assert got.model[0, :6].tolist() == [0, 3, 3, 0, 0, 3] and (got.quality == 1).all()


def test_a_fixed_gate_without_cheap_models_is_one_call() -> None:
    router = FixedGateRouter(lambda_cost=1.0).fit(APART.train)
    assert router.members() == [0]  # at this price the cheapest model is worth most
    assert (played(router, APART).attempts == 1).all()


def test_votes_and_thresholds_by_hand() -> None:
    router = AgreementCascadeRouter(epsilon=0.0).fit(APART.train)
    assert router.tiers_ == [[0, 1, 2]] and router.last_ == 3
    # Two of three never agree on a wrong answer, and one alone (the last row) is right by luck.
    assert router.thresholds() == [pytest.approx(1 / 3)]
    share, place = vote(np.array([[1, 2, 2], [UNREAD, UNREAD, 4]]))
    assert share.tolist() == [pytest.approx(2 / 3), pytest.approx(1 / 3)] and place.tolist() == [1, 0]
    wrong = problem([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 9, 0]], [0, 0, 0])
    assert AgreementCascadeRouter(epsilon=0.1).fit(wrong.train).thresholds() == [1.0]
    assert AgreementCascadeRouter(epsilon=0.5).fit(wrong.train).thresholds() == [pytest.approx(1 / 3)]
    got = played(AgreementCascadeRouter(epsilon=0.1).fit(wrong.train), wrong)
    assert got.attempts[0, :3].tolist() == [4, 3, 4] and got.model[0, :3].tolist() == [3, 0, 3]


def test_a_hundred_labelled_requests_set_the_thresholds_and_no_other() -> None:
    apart, never = APART, replace(APART.truth, quality=1.0 - APART.truth.quality)
    router = AgreementCascadeRouter(epsilon=0.0).fit(apart.train)
    labelled = np.argsort(keyed_uniform(apart.requests.key, 1, _LABELLED)[:, 0], kind="stable")[:N_LABELLED]
    other = np.array(apart.truth.quality)
    other[np.setdiff1d(np.arange(len(other)), labelled)] = 0.0
    router.foresee(apart.requests, replace(apart.truth, quality=other))
    assert router.thresholds() == [pytest.approx(1 / 3)]
    router.foresee(apart.requests, never)
    assert router.thresholds() == [np.inf]  # whatever the tier agrees on is wrong: it is not asked
    assert (played(router, apart).attempts == 1).all()


def test_cascade_routing_stops_where_two_agree_and_asks_on_where_they_do_not() -> None:
    router = CascadeRoutingRouter(lambda_cost=1e-3).fit(APART.train)
    got = played(router, APART)
    assert (got.quality == 1).mean() > 0.95
    calls, agree = got.attempts[0], APART.truth.answer[:, 0] == APART.truth.answer[:, 1]
    assert calls[agree].mean() < calls[~agree].mean()
    dear, free = (played(CascadeRoutingRouter(lambda_cost=x).fit(APART.train), APART) for x in (10.0, 0.0))
    assert (dear.attempts == 1).all() and (dear.model == 0).all() and free.cost_usd.mean() > got.cost_usd.mean()


@pytest.mark.parametrize("name", RIVALS)
def test_answers_that_were_not_asked_for_change_nothing(name: str) -> None:
    """Request by request: whatever a model that was not called would have said, cost or been worth."""
    base = standard()
    cls = routers.get(name)
    for setting in cls.settings(SWEEP):
        router = cls(**setting).fit(base.train)
        before = played(router, base)
        for m in range(len(base.requests.models)):
            truth = replace(base.truth, answer=np.array(base.truth.answer), quality=np.array(base.truth.quality))
            # A model is known not to have been called where its bill, put up, moves nothing.
            dearer = np.array(base.truth.cost_usd)
            dearer[:, m] += 1.0
            billed = played(router, replace(base, truth=replace(base.truth, cost_usd=dearer)))
            not_called = np.isclose(billed.cost_usd[0], before.cost_usd[0])
            truth.answer[not_called, m] += 1
            truth.quality[not_called, m] = 1 - truth.quality[not_called, m]
            after = played(router, replace(base, truth=truth))
            for what in ("model", "cost_usd", "attempts", "quality"):
                np.testing.assert_array_equal(getattr(before, what), getattr(after, what), what)
