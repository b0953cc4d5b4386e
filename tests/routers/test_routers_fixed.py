"""Reference routers by hand: the zero router's mixture, cascades that pay, the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dacr.contracts.problem import TAU_S, fitted_points, make_problem, play_points
from dacr.core.registry import routers
from dacr.core.rng import generator, keys_of
from dacr.estimates.fitted import clairvoyant
from dacr.replay.static import play_static
from dacr.routers.base import Cascade, Router
from dacr.routers.fixed import hull_models
from dacr.routers.terms import Terms, argmax_fair
from dacr.types import SHED, Estimates, Outcomes, Runs, Training

COST = np.array([0.1, 0.2, 0.3, 1.0, 2.0])
MEAN = np.array([0.2, 0.4, 0.42, 0.8, 0.7])  # the hull: models 0, 1, 3


def requests_of(n: int, n_model: int = len(COST)) -> Estimates:
    rng = generator("requests", n)
    half = np.full((n, n_model), 0.5)
    return Estimates(
        key=keys_of(f"q{i}" for i in range(n)),
        features=rng.normal(size=(n, 4)).astype(np.float32),
        domain=np.zeros(n, dtype=np.int64),
        p_raw=half,
        p=half,
        cost_hat=np.tile(COST[:n_model], (n, 1)),
        cost_upper=np.tile(COST[:n_model], (n, 1)),
        p_late=half,
        arrival_s=np.arange(n, dtype=float),
        models=tuple(f"m{i}" for i in range(n_model)),
        domains=("a",),
    )


def outcomes_of(quality: np.ndarray) -> Outcomes:
    n, n_model = quality.shape
    latency = np.tile(np.arange(1.0, n_model + 1), (n, 1))
    return Outcomes(quality, np.tile(COST[:n_model], (n, 1)), latency, latency > 3)


def trained(name: str, **params: float) -> Router:
    quality = np.tile(MEAN, (40, 1))
    return routers.get(name)(**params).fit(Training(requests_of(40), outcomes_of(quality), 3.0))


def test_hull_of_single_models_by_hand() -> None:
    assert hull_models(COST, MEAN).tolist() == [0, 1, 3]


@pytest.mark.parametrize("position", [0.0, 0.05, 0.3, 0.8, 1.0])
def test_zero_router_meets_its_cost_in_expectation(position: float) -> None:
    router = trained("zero", position=position)
    requests = requests_of(20_000)
    choice = router.decide(requests)
    goal = 0.1 + position * (1.0 - 0.1)
    cost = COST[choice.model]
    assert cost.mean() == pytest.approx(goal, abs=4 * cost.std() / np.sqrt(len(cost)) + 1e-12)
    used = set(choice.model.tolist())
    assert used <= {0, 1, 3} and len(used) <= 2
    for m in used:  # the propensity is the share
        assert choice.propensity[choice.model == m] == pytest.approx((choice.model == m).mean(), abs=0.02)


def test_zero_router_under_a_budget_costs_what_may_be_spent() -> None:
    """.6 is half the way from model 1 (.2) to model 3 (1.0); below the cheapest and above the best it ends."""
    zero = trained("zero", budget_cost=0.5)
    requests = requests_of(4000)
    nothing = np.zeros((4000, 1))
    for pace, mean in [(0.6, 0.6), (0.01, 0.1), (9.0, 1.0)]:
        choice = zero.decide(requests, Terms(nothing, nothing, pace_cost=lambda p=pace: np.full(4000, p)))
        assert COST[choice.model].mean() == pytest.approx(mean, abs=0.02)
        assert set(choice.model) <= {0, 1, 3}
    closed = np.tile([True, True, True, False, True], (4000, 1))
    choice = zero.decide(requests, Terms(nothing, nothing, lambda _: closed, pace_cost=lambda: np.full(4000, 0.6)))
    assert (choice.model == 1).all()  # the cheaper of the two


def test_domain_oracle_walked_position_by_position_is_what_it_is_in_one_call() -> None:
    problem = make_problem()
    [router, *_] = fitted_points("domain_oracle", problem.train)
    truth = clairvoyant(problem.requests, problem.truth)
    whole = router.scores(truth)
    router.foresee(truth, problem.truth)
    for rows in ([0, 1, 2], [7], [30, 2]):
        np.testing.assert_allclose(router.scores(truth.take(rows)), whole[rows])


def test_fixed_routers_by_hand() -> None:
    requests = requests_of(5)
    assert set(trained("cheapest").decide(requests).model) == {0}
    assert set(trained("strongest").decide(requests).model) == {3}
    # values at 0.5 a dollar: .15 .30 .27 .30 -.30, so that a little more makes the cheaper one win
    assert set(trained("best_single", lambda_cost=0.51).decide(requests).model) == {1}
    assert set(trained("best_single", lambda_cost=0.49).decide(requests).model) == {3}
    even = Training(requests_of(40), outcomes_of(np.tile([0.5, 0.75, 0.25, 0.75, 0.5], (40, 1))), 3.0)
    tie = routers.get("best_single")().fit(even).decide(requests_of(2000))  # broken by a draw of the request
    assert set(tie.model) == {1, 3} and set(tie.propensity) == {0.5}
    assert 0.45 < (tie.model == 1).mean() < 0.55
    # latency 1 .. 5 s, late above 3 s: models 3 and 4 lose a whole unit
    assert set(trained("best_single", lambda_late=1.0).decide(requests).model) == {2}


def test_random_is_uniform_and_its_own_for_each_seed() -> None:
    router, requests = routers.get("random")(), requests_of(10_000)
    first = router.decide(requests)
    share = np.bincount(first.model, minlength=5) / 10_000
    np.testing.assert_allclose(share, 0.2, atol=0.02)
    np.testing.assert_allclose(first.propensity, 0.2)
    router.seed = 5
    assert 0.1 < (router.decide(requests).model == first.model).mean() < 0.3


def test_a_tie_is_broken_alike_whether_rows_have_one_seed_or_one_each() -> None:
    rng = generator("ties")
    scores = rng.integers(0, 3, (300, 5)).astype(float)
    scores[:40, 1:4] = -np.inf
    scores[0] = -np.inf
    keys = keys_of(f"q{i}" for i in range(300))
    one, other = argmax_fair(scores, keys, 7), argmax_fair(scores, keys, np.full(300, 7, dtype=np.uint64))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_tie", [1, 2, 3])
def test_ties_are_broken_evenly_by_request_not_by_position(n_tie: int) -> None:
    keys = keys_of(f"q{i}" for i in range(6000))
    scores = np.zeros((6000, 4))
    scores[:, :n_tie] = 1.0
    model, propensity = argmax_fair(scores, keys, 3)
    np.testing.assert_allclose(np.bincount(model, minlength=4)[:n_tie] / 6000, 1 / n_tie, atol=0.03)
    np.testing.assert_allclose(propensity, 1 / n_tie)
    back, _ = argmax_fair(scores[::-1], keys[::-1], 3)
    assert (back[::-1] == model).all()


class Scripted(Cascade):
    """Calls models 0, 1, 2 in turn; the answer to request i is accepted at attempt ``patience[i]``."""

    name = "scripted"
    patience = (0, 1, 2, 9)

    def propose(self, requests, tried):
        self.turn = len(tried)
        return np.full(len(requests), len(tried) if len(tried) < 3 else SHED)

    def accept(self, requests, attempt):
        return requests.features[:, 0] <= self.turn


def test_every_call_is_paid_by_hand() -> None:
    requests = requests_of(4).with_(features=np.array([[0], [1], [2], [9]], dtype=np.float32))
    truth = outcomes_of(np.tile([0.25, 0.5, 1.0, 0.0, 0.0], (4, 1)))
    runs = Runs(np.array([[3, 0, 1, 2]]), np.arange(4.0), (1,))
    played = play_static(Scripted(), requests, truth, runs)
    assert played.row.tolist() == [[3, 0, 1, 2]]
    assert played.model.tolist() == [[SHED, 0, 1, 2]]
    assert played.attempts.tolist() == [[3, 1, 2, 3]]
    np.testing.assert_allclose(played.cost_usd, [[0.6, 0.1, 0.3, 0.6]])
    np.testing.assert_allclose(played.latency_s, [[6.0, 1.0, 3.0, 6.0]])
    np.testing.assert_allclose(played.quality, [[0.0, 0.25, 0.5, 1.0]])
    np.testing.assert_array_equal(played.p_hat, [[np.nan, 0.5, 0.5, 0.5]])


def test_the_cascade_pays_for_its_whole_chain() -> None:
    problem = make_problem()
    better = np.linspace(0.0, 0.5, problem.truth.quality.shape[1]) + 0.5 * problem.train.outcomes.quality
    points = fitted_points("cascade", replace(problem.train, outcomes=replace(problem.train.outcomes, quality=better)))
    chain = points[0].chain_
    assert len(chain) >= 3
    points[0].threshold, points[-1].threshold = 0.0, 1.01
    first, last = play_points([points[0], points[-1]], problem.requests, problem.truth)
    assert (first.model == chain[0]).all() and (first.attempts == 1).all()
    np.testing.assert_allclose(first.cost_usd[0], problem.truth.cost_usd[first.row[0], chain[0]])
    assert (last.model == chain[-1]).all() and (last.attempts == len(chain)).all()
    np.testing.assert_allclose(last.cost_usd[0], problem.truth.cost_usd[last.row[0]][:, chain].sum(axis=1))
    np.testing.assert_allclose(last.latency_s[0], problem.truth.latency_s[last.row[0]][:, chain].sum(axis=1))


@pytest.mark.parametrize("name", [name for name in routers.names() if name != "oracle"])
@pytest.mark.parametrize("price", [0.0, 20.0, 200.0])
def test_no_router_beats_the_oracle_on_any_query(name: str, price: float) -> None:
    problem = make_problem()

    def utility(played) -> np.ndarray:
        value = played.quality - price * played.cost_usd - 0.5 * (played.latency_s > TAU_S)
        by_row = np.empty(len(problem.requests))
        by_row[played.row[0]] = value[0]
        return by_row

    oracle = routers.get("oracle")(lambda_cost=price, lambda_late=0.5)
    best = utility(play_points([oracle], problem.requests, problem.truth)[0])
    for played in play_points(fitted_points(name, problem.train), problem.requests, problem.truth):
        shed = np.zeros(len(best), dtype=bool)
        shed[played.row[0]] = played.model[0] == SHED  # no call, no cost: the oracle has to call
        assert (utility(played) <= np.where(shed, np.maximum(best, 0), best) + 1e-12).all()
