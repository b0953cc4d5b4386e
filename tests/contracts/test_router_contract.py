"""What every registered router must keep, whoever wrote it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from dacr.core.registry import routers
from dacr.replay.feedback import FeedbackPlan
from dacr.routers.base import Terms, stack, with_setting
from dacr.types import SHED
from tests.contracts.problem import SWEEP, altered, fitted_points, make_problem, play_learner, play_points

NAMES = routers.names()
RIVALS = [name for name in NAMES if not routers.get(name).clairvoyant]
LEARNERS = [name for name in NAMES if routers.get(name).learns]
STATIC = [name for name in RIVALS if not routers.get(name).learns]
ASKED = {
    "random", "cheapest", "strongest", "best_single", "oracle", "zero", "knn", "routellm", "cascade",
    "predict_optimize", "joint_ranker", "dacr_eq9", "dacr",
}  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    return make_problem()


def test_the_asked_routers_are_registered():
    assert set(NAMES) >= ASKED
    assert len(LEARNERS) >= 3 and len(STATIC) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_constructor_is_keyword_only_and_params_make_a_twin(name):
    cls = routers.get(name)
    for parameter in inspect.signature(cls).parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY, parameter
        assert parameter.default is not parameter.empty, parameter
    for point in cls.settings(SWEEP):
        assert cls(**cls(**point).params).params == cls(**point).params
    assert (cls.__doc__ or "").strip()


@pytest.mark.parametrize("name", [name for name in NAMES if routers.get(name).paces_itself])
def test_a_router_that_paces_itself_is_told_its_budget_and_tells_its_price(name, problem):
    cls = routers.get(name)
    assert "budget_cost" in cls.stackable
    fitted = cls(**cls.budget_setting(SWEEP)).fit(problem.train)
    points = [with_setting(fitted, cls.budget_setting(SWEEP) | {"budget_cost": b}) for b in (4e-4, 1.0)]
    router = stack(points)
    router.start(2, 4, np.arange(2, dtype=np.uint64))
    for i in range(60):
        router.decide(problem.requests.take([i, i]), Terms(np.full((2, 1), 1e9), np.zeros((2, 1))))
    price = router.own_price()
    assert price.shape == (2,) and np.isfinite(price).all() and (price >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_scores_have_the_right_shape_and_rows_stand_alone(name, problem):
    for router in fitted_points(name, problem.train):
        if router.learns:
            router.start(1, 4, np.zeros(1, dtype=np.uint64))
            for i in range(5):
                assert router.checked_scores(problem.requests.take([i])).shape == (1, 4)
            continue
        whole = router.checked_scores(problem.requests)
        if name == "domain_oracle":
            continue  # A hindsight reference: it averages over the whole test part.
        single = np.vstack([router.checked_scores(problem.requests.take([i])) for i in range(len(problem.requests))])
        np.testing.assert_allclose(whole, single, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_paid_is_what_was_called(name, problem):
    for played in play_points(fitted_points(name, problem.train), problem.requests, problem.truth):
        row, model = played.row[0], played.model[0]
        kept = model != SHED
        single = kept & (played.attempts[0] == 1)
        cost = problem.truth.cost_usd[row, np.maximum(model, 0)]
        assert np.allclose(played.cost_usd[0][single], cost[single])
        assert (played.cost_usd[0][kept] >= cost[kept] - 1e-15).all(), "an answer was used that was not paid"
        assert (played.quality[0][~kept] == 0).all()
        assert np.allclose(played.quality[0][kept], problem.truth.quality[row, model][kept])
        assert ((played.propensity > 0) & (played.propensity <= 1 + 1e-12)).all()


@pytest.mark.parametrize("name", STATIC)
def test_no_leak_static_decisions_do_not_depend_on_any_test_outcome(name, problem):
    if routers.get(name).several_attempts:
        pytest.skip("it may look at responses it paid for: see the test of uncalled models")
    points = fitted_points(name, problem.train)
    everything = np.ones(problem.truth.quality.shape, dtype=bool)
    before = play_points(points, problem.requests, problem.truth)
    after = play_points(points, problem.requests, altered(problem.truth, everything))
    for one, other in zip(before, after, strict=True):
        assert (one.model == other.model).all() and (one.propensity == other.propensity).all()


@pytest.mark.parametrize("name", [name for name in RIVALS if not routers.get(name).full_information])
def test_no_leak_decisions_do_not_depend_on_models_that_were_not_called(name, problem):
    for point in fitted_points(name, problem.train):
        [before] = play_points([point], problem.requests, problem.truth)
        called = np.zeros(problem.truth.quality.shape, dtype=bool)
        if point.several_attempts:
            _mark_attempts(point, problem, called)
        else:
            called[before.row[0], before.model[0]] = True
        [after] = play_points([point], problem.requests, altered(problem.truth, ~called))
        assert (before.model == after.model).all()
        np.testing.assert_array_equal(before.p_hat, after.p_hat)  # NaN where no answer was kept
        np.testing.assert_array_equal(before.cost_hat, after.cost_hat)
        assert (before.cost_usd == after.cost_usd).all()


def _mark_attempts(point, problem, called):
    """Ask the router itself which calls it makes, request by request."""
    from dacr.replay.static import _call

    active, tried = np.arange(len(problem.requests)), []
    while len(active):
        model = point.propose(problem.requests.take(active), tried)
        active, model, going = active[model != SHED], model[model != SHED], model != SHED
        if not len(active):
            return
        called[active, model] = True
        seen = _call(problem.truth, active, model)
        good = point.accept(problem.requests.take(active), seen)
        tried = [attempt.take(going).take(~good) for attempt in tried] + [seen.take(~good)]
        active = active[~good]


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("delay", [0, 4])
def test_causal_an_outcome_changes_no_decision_before_it_is_due(name, delay, problem):
    plan = FeedbackPlan(delay=delay, p_miss=0.0)
    moved = 0
    for point in fitted_points(name, problem.train):
        [before] = play_points([point], problem.requests, problem.truth, plan=plan)
        for t in (0, 7, 31):
            where = np.zeros(problem.truth.quality.shape, dtype=bool)
            where[before.row[0, t]] = True
            # Quality alone: due just before decision t + 1 + delay.
            other = altered(problem.truth, where)
            other = type(other)(
                other.quality, problem.truth.cost_usd, problem.truth.latency_s, problem.truth.late, problem.truth.cues
            )
            [after] = play_points([point], problem.requests, other, plan=plan)
            due = t + 1 if point.full_information else t + 1 + delay
            assert (before.model[0, :due] == after.model[0, :due]).all()
            assert (before.p_hat[0, :due] == after.p_hat[0, :due]).all()
            moved += int((before.p_hat[0, due:] != after.p_hat[0, due:]).any())
            # All of it: cost and lateness come when the call ends, never before decision t + 1.
            [after] = play_points([point], problem.requests, altered(problem.truth, where), plan=plan)
            assert (before.model[0, : t + 1] == after.model[0, : t + 1]).all()
            assert (before.p_hat[0, : t + 1] == after.p_hat[0, : t + 1]).all()
    if not getattr(routers.get(name), "reads_quality", True):
        return  # It learns from costs alone.
    assert moved, "feedback never moved an estimate: this learner does not learn"


@pytest.mark.parametrize("name", LEARNERS)
def test_runs_played_abreast_equal_runs_played_alone(name, problem):
    points = fitted_points(name, problem.train)
    together = play_learner(points, problem.requests, problem.truth, seeds=(1, 2))
    for k, point in enumerate(points):
        for j, seed in enumerate((1, 2)):
            alone = play_learner([point], problem.requests, problem.truth, seeds=(seed,))
            assert (together.model[2 * k + j] == alone.model[0]).all()
            np.testing.assert_allclose(together.p_hat[2 * k + j], alone.p_hat[0], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_decisions(name, problem):
    points = fitted_points(name, problem.train)
    first = play_points(points, problem.requests, problem.truth, seeds=(1,))
    again = play_points(fitted_points(name, problem.train), problem.requests, problem.truth, seeds=(1,))
    for one, other in zip(first, again, strict=True):
        assert (one.model == other.model).all()


@pytest.mark.parametrize("name", [name for name in NAMES if routers.get(name).clairvoyant])
def test_references_that_see_the_truth_use_it(name, problem):
    points = fitted_points(name, problem.train)
    everything = np.ones(problem.truth.quality.shape, dtype=bool)
    before = play_points(points, problem.requests, problem.truth)
    after = play_points(points, problem.requests, altered(problem.truth, everything))
    assert any((one.model != other.model).any() for one, other in zip(before, after, strict=True))
