"""What a router has to keep: it is fitted once, pays for what it uses, and knows nothing that it was not told."""

import inspect
from dataclasses import replace

import numpy as np

from dacr.contracts import router_stress
from dacr.contracts.problem import (
    CONDITIONS,
    SWEEP,
    Problem,
    altered,
    everything,
    fitted_points,
    incomplete,
    play_in,
    play_learner,
    play_points,
    standard,
)
from dacr.contracts.rules import Rule, described, keep, require
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.static import call
from dacr.routers.base import Cascade, Learner, Router, stack, with_setting
from dacr.routers.terms import Terms
from dacr.types import SHED, Attempts, Bools, Played

Part = type[Router]


def its_constructor_is_keyword_only_and_params_make_a_twin(part: Part) -> None:
    """Arguments have defaults, become columns of results, and make the same router again."""
    for argument in inspect.signature(part).parameters.values():
        require(argument.kind is argument.KEYWORD_ONLY, f"argument {argument.name!r} has to be keyword-only")
        require(argument.default is not argument.empty, f"argument {argument.name!r} needs a default")
    for point in part.settings(SWEEP):
        require(part(**part(**point).params).params == part(**point).params, "params do not make the same router again")


def it_tells_its_price_if_it_paces_itself(part: Part) -> None:
    """It is told its budget, and says a price for every run."""
    if part.budget != "own":
        return
    require("budget_cost" in part.stackable, "budget_cost has to be in stackable")
    own = part.budget_setting(SWEEP)
    assert own is not None
    fitted = part(**own).fit(standard().train)
    router = stack([with_setting(fitted, own | {"budget_cost": budget}) for budget in (4e-4, 1.0)])
    if isinstance(router, Learner):
        router.start(2, 4, np.arange(2, dtype=np.uint64))
    for i in range(60):
        router.decide(standard().requests.take([i, i]), Terms(np.full((2, 1), 1e9), np.zeros((2, 1))))
    price = router.own_price()
    sound = price is not None and price.shape == (2,) and np.isfinite(price).all() and (price >= 0).all()
    require(sound, f"own_price() gave {price}, expected one price >= 0 per run")


def scores_have_one_column_per_model_and_rows_stand_alone(part: Part) -> None:
    """A row of scores depends on its own request alone, unless the class says that it reads the whole stream."""
    requests = standard().requests
    for router in _points(part):
        if isinstance(router, Learner):
            router.start(1, 4, np.zeros(1, dtype=np.uint64))
            for i in range(5):
                router.checked_scores(requests.take([i]))
            continue
        whole = router.checked_scores(requests)
        if not part.whole_stream:
            single = np.vstack([router.checked_scores(requests.take([i])) for i in range(len(requests))])
            np.testing.assert_allclose(whole, single, rtol=1e-9, atol=1e-12)


def what_is_paid_is_what_was_called(part: Part) -> None:
    """Cost and quality are those of the calls; a propensity is a probability."""
    truth = standard().truth
    for played in play_points(_points(part), standard().requests, truth):
        row, model = played.row[0], played.model[0]
        kept = model != SHED
        single = kept & (played.attempts[0] == 1)
        cost = truth.cost_usd[row, np.maximum(model, 0)]
        require(np.allclose(played.cost_usd[0][single], cost[single]), "a call was not paid at its cost")
        require((played.cost_usd[0][kept] >= cost[kept] - 1e-15).all(), "an answer was used that was not paid")
        require((played.quality[0][~kept] == 0).all(), "a shed request has quality 0")
        require(np.allclose(played.quality[0][kept], truth.quality[row, model][kept]), "quality is not the answer's")
        require(((played.propensity > 0) & (played.propensity <= 1 + 1e-12)).all(), "a propensity is not in (0, 1]")


def decisions_do_not_depend_on_test_outcomes_unless_it_learns(part: Part) -> None:
    """With every outcome altered, a router without feedback decides the same."""
    if part.clairvoyant or part.learns or part.several_attempts:
        return
    before = play_points(_points(part), standard().requests, standard().truth)
    after = play_points(_points(part), standard().requests, altered(standard().truth, everything()))
    for one, other in zip(before, after, strict=True):
        require((one.model == other.model).all(), "decisions moved with outcomes that it can't know: a leak")
        require((one.propensity == other.propensity).all(), "propensities moved with outcomes that it can't know")


def decisions_do_not_depend_on_models_that_were_not_called(part: Part) -> None:
    """With the outcomes of all uncalled models altered, everything stays."""
    if part.clairvoyant or part.full_information:
        return
    problem = standard()
    for point in _points(part):
        [before] = play_points([point], problem.requests, problem.truth)
        seen = _attempted(point, problem) if isinstance(point, Cascade) else _called(before)
        [after] = play_points([point], problem.requests, altered(problem.truth, ~seen))
        require((before.model == after.model).all(), "decisions moved with outcomes of models that it did not call")
        for name in ("p_hat", "cost_hat", "cost_usd"):  # NaN where no answer was kept
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name), name)


def what_was_never_recorded_is_never_called_or_told(part: Part) -> None:
    """Whatever stands in the place of missing outcomes, nothing of it shows: not in decisions, not in their results."""
    problem, kept = standard(), [None, *CONDITIONS[:2]]
    for conditions in kept if not (part.clairvoyant or part.several_attempts) else [None]:
        seen = []
        for stand_in in (0.0, 1e6) if not part.clairvoyant else (0.0, 1.0):
            truth = incomplete(problem.truth, 0.4, stand_in)
            if conditions is None:
                seen.append(play_points(_points(part), problem.requests, truth))
            else:
                seen.append([play_in(conditions, _points(part)[:1], problem.requests, truth)])
        for one, other in zip(*seen, strict=True):
            called = one.model != SHED
            assert truth.recorded is not None
            there = truth.recorded[one.row, np.maximum(one.model, 0)]
            require(bool(there[called].all()), "a model was called where it was not recorded")
            if part.clairvoyant and part.whole_stream:
                continue  # it averages the stand-ins, which are means of what was recorded
            for name in ("model", "propensity", "quality", "cost_usd", "latency_s", "attempts", "p_hat"):
                same = np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
                require(same, f"{name} moved with outcomes that were never recorded")


def an_outcome_changes_no_decision_before_it_is_due(part: Part) -> None:
    """Ratings act when they are due, costs and lateness when the call ends; and what is due does act."""
    if part.clairvoyant or not part.learns:
        return
    problem = standard()
    for delay in (0, 4):
        plan, moved = FeedbackPlan(delay=delay, p_miss=0.0), False
        for point in _points(part):
            [before] = play_points([point], problem.requests, problem.truth, plan=plan)
            for t in (0, 7, 31):
                where = np.zeros_like(everything())
                where[before.row[0, t]] = True
                other = altered(problem.truth, where)
                rated = replace(problem.truth, quality=other.quality)
                [after] = play_points([point], problem.requests, rated, plan=plan)
                due = t + 1 if point.full_information else t + 1 + delay
                _alike_before(before, after, due, f"the rating of request {t}, due at {due}")
                moved |= bool((before.p_hat[0, due:] != after.p_hat[0, due:]).any())
                [after] = play_points([point], problem.requests, other, plan=plan)
                _alike_before(before, after, t + 1, f"the outcome of request {t}")
        learns_quality = part.reads_quality
        require(moved or not learns_quality, "feedback never moved an estimate: this learner does not learn")


def runs_played_abreast_equal_runs_played_alone(part: Part) -> None:
    """A learner's runs share nothing."""
    if part.clairvoyant or not part.learns:
        return
    points, problem = _points(part), standard()
    together = play_learner(points, problem.requests, problem.truth, seeds=(1, 2))
    for k, point in enumerate(points):
        for j, seed in enumerate((1, 2)):
            alone = play_learner([point], problem.requests, problem.truth, seeds=(seed,))
            require((together.model[2 * k + j] == alone.model[0]).all(), "a run beside others decides otherwise")
            np.testing.assert_allclose(together.p_hat[2 * k + j], alone.p_hat[0], rtol=1e-12)


def the_same_seed_gives_the_same_decisions(part: Part) -> None:
    """Also after another fit; and every seed does, where a cascade says that it draws nothing."""
    problem = standard()
    first = play_points(_points(part), problem.requests, problem.truth)
    again = play_points(fitted_points(part, problem.train), problem.requests, problem.truth)
    same = all((one.model == other.model).all() for one, other in zip(first, again, strict=True))
    require(same, "a second run of the same seed decides otherwise: draw from dacr.core.rng by name")
    if not getattr(part, "draws", True):
        others = play_points(_points(part), problem.requests, problem.truth, seeds=(2,))
        same = all((one.model == other.model).all() for one, other in zip(first, others, strict=True))
        require(same, "another seed decides otherwise: leave `draws` as it is")


def a_reference_that_sees_the_truth_uses_it(part: Part) -> None:
    """Else it should not be marked as clairvoyant."""
    if not part.clairvoyant:
        return
    points, problem = _points(part), standard()
    before = play_points(points, problem.requests, problem.truth)
    after = play_points(points, problem.requests, altered(problem.truth, everything()))
    moved = any((one.model != other.model).any() for one, other in zip(before, after, strict=True))
    require(moved, "it is marked as clairvoyant, and does not look")


RULES: tuple[Rule, ...] = (
    described,
    its_constructor_is_keyword_only_and_params_make_a_twin,
    it_tells_its_price_if_it_paces_itself,
    scores_have_one_column_per_model_and_rows_stand_alone,
    what_is_paid_is_what_was_called,
    decisions_do_not_depend_on_test_outcomes_unless_it_learns,
    decisions_do_not_depend_on_models_that_were_not_called,
    what_was_never_recorded_is_never_called_or_told,
    an_outcome_changes_no_decision_before_it_is_due,
    runs_played_abreast_equal_runs_played_alone,
    the_same_seed_gives_the_same_decisions,
    a_reference_that_sees_the_truth_uses_it,
    *router_stress.RULES,
)


def check_router(part: Part) -> None:
    """Hold a registered router class to its contract, alone and under budgets, queues and protocols.

    Raises
    ------
    Broken
        An AssertionError that names the rule and how it is broken.
    """
    keep(part, RULES)


def _points(part: Part) -> list[Router]:
    return router_stress.fitted(part)


def _called(played: Played) -> Bools:
    seen = np.zeros_like(everything())
    seen[played.row[0], played.model[0]] = True
    return seen


def _attempted(point: Cascade, problem: Problem) -> Bools:
    """Ask the router itself which calls it makes, request by request."""
    seen = np.zeros_like(everything())
    active, tried = np.arange(len(problem.requests)), list[Attempts]()
    while len(active):
        model = point.propose(problem.requests.take(active), tried)
        active, model, going = active[model != SHED], model[model != SHED], model != SHED
        seen[active, model] = True
        if len(active):
            tried = [attempt.take(going) for attempt in tried] + [call(problem.truth, active, model)]
            goes_on = point.keep(problem.requests.take(active), tried) < 0
            tried, active = [attempt.take(goes_on) for attempt in tried], active[goes_on]
    return seen


def _alike_before(before: Played, after: Played, due: int, what: str) -> None:
    same = (before.model[0, :due] == after.model[0, :due]).all() and (
        before.p_hat[0, :due] == after.p_hat[0, :due]
    ).all()
    require(same, f"{what}, acted before that")
