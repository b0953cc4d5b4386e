"""Plans beside the models: what routers that take them see, pay, and are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.arms import Arms, read_plans, with_plans
from dacr.replay.kept import Kept
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup, set_up
from dacr.routers.base import stack
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Feedback, Played

MODELS = ("a", "b", "c", "d")
COST = np.array([1e-4, 1.2e-4, 4e-4, 6e-3])
N = 900


def table(seed: int = 0, response: bool = True) -> RoutingTable:
    """Three domains; cheap models that err apart, a dear one that is right nearly always; answers are numbers."""
    rng = np.random.default_rng(seed)
    domain = np.array(["north", "east", "south"], dtype=object)[np.arange(N) % 3]
    skill = np.array([0.66, 0.68, 0.72, 0.95]) - np.where(domain == "south", 0.1, 0.0)[:, None]
    right = rng.random((N, 4)) < skill
    wrong = 1000 * (1 + np.arange(4)) + rng.integers(0, 400, (N, 4))
    number = np.where(right, np.arange(N)[:, None], wrong + N)
    return RoutingTable(
        qid=np.array([f"q{i}" for i in range(N)], dtype=object),
        prompt=np.array([f"How many are {i} and {i % 7}?" for i in range(N)], dtype=object),
        domain=domain,
        model=MODELS,
        quality=right.astype(float),
        cost_usd=COST * rng.uniform(0.7, 1.3, (N, 4)),
        latency_s=rng.uniform(0.5, 4.0, (N, 4)),
        response=pa.array([f"It is {value}." for value in number.ravel()]) if response else None,
    )


def setup_of(data: RoutingTable | None = None, **changes: Any) -> Setup:
    settings = ExperimentSettings(
        ood_holdout=StrList(("south",)),
        lambdas=FloatList((0.0, 20.0, 200.0)),
        lambda_lat=0.0,
        dacr_lambda_lat=0.0,
        orders=2,
        seeds=IntList((1,)),
        n_jobs=1,
    )
    return set_up(replace(settings, **{"plans": "auto", **changes}), data or table(), Cache(None))[1]


@pytest.fixture(scope="module")
def setup() -> Setup:
    return setup_of()


def arms_in(setup: Setup) -> Arms:
    assert setup.arms is not None
    return setup.arms


def same(one: Played, other: Played, *but: str) -> bool:
    names = {"row", "model", "cost_usd", "latency_s", "attempts", "quality", "propensity", "p_hat"} - set(but)
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)


def test_plans_are_found_and_named(setup: Setup) -> None:
    arms = arms_in(setup)
    assert 1 <= len(arms.plans) <= 12 and arms.names[:4] == MODELS and arms.names[4].startswith("gate(")
    assert setup.estimator.table.model == MODELS  # estimates of the models know nothing of plans
    assert arms.truth.quality.shape == (300, len(arms.names))


def test_estimates_of_models_are_the_same_with_plans_and_without(setup: Setup) -> None:
    alone, with_plans = setup.testing("logistic", "base_slope"), arms_in(setup).testing("logistic", "base_slope")
    for name in ("p", "p_raw", "cost_hat", "cost_upper", "p_late"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(with_plans, name)[:, :4])
    assert np.isfinite(with_plans.p).all() and (with_plans.cost_upper >= with_plans.cost_hat).all()


def test_a_plan_reserves_its_longest_path(setup: Setup) -> None:
    arms = arms_in(setup)
    seen = arms.testing("logistic", "base_slope")
    for k, plan in enumerate(arms.plans):
        own = [MODELS.index(name) for name in plan.members]
        np.testing.assert_allclose(seen.cost_upper[:, 4 + k], seen.cost_upper[:, own].sum(axis=1))


@pytest.mark.parametrize("name", ["dacr", "static", "linucb"])
def test_what_is_paid_is_what_was_asked(setup: Setup, name: str) -> None:
    arms = arms_in(setup)
    entry = enter(name, setup)
    for one in play(entry, setup.world):
        plan = one.model >= 4
        row, k = one.row[plan], one.model[plan] - 4
        asked = arms.test.round[row, k] > 0
        member = arms.test.member[k]
        paid = np.where(asked, setup.truth.cost_usd[row[:, None], member], 0.0).sum(axis=1)
        np.testing.assert_allclose(one.cost_usd[plan], paid)
        np.testing.assert_array_equal(one.attempts[plan], asked.sum(axis=1))
        shipped = arms.test.shipped[row, k]
        assert (np.equal(member, shipped[:, None]) & asked).any(axis=1).all()
        np.testing.assert_array_equal(one.quality[plan], setup.truth.quality[row, shipped])
        np.testing.assert_array_equal(one.attempts[~plan], 1)
    assert any((one.model >= 4).any() for one in play(entry, setup.world)), "no plan was ever chosen"


@pytest.mark.parametrize("name", ["dacr", "static"])
def test_answers_and_qualities_of_models_that_were_not_asked_change_nothing(setup: Setup, name: str) -> None:
    arms, entry = arms_in(setup), enter(name, setup)
    point = replace(entry, points=entry.points[1:2])
    world = replace(
        setup.world, learning=replace(setup.world.learning, order=setup.world.learning.order[:1], seed=(1,))
    )
    [before] = play(point, world)
    row, arm = before.row[0], before.model[0]
    asked = np.zeros((len(row), 4), dtype=bool)
    asked[row, np.minimum(arm, 3)] = arm < 4
    plan = np.flatnonzero(arm >= 4)
    member, when = arms.test.member[arm[plan] - 4], arms.test.round[row[plan], arm[plan] - 4]
    asked[np.repeat(row[plan], member.shape[1])[when.ravel() > 0], member.ravel()[when.ravel() > 0]] = True
    data = table()
    test = setup.estimator.test
    quality, response = data.quality.copy(), np.array(data.response.to_pylist(), dtype=object).reshape(N, 4)
    not_asked = ~asked
    quality[test] = np.where(not_asked, 1 - quality[test], quality[test])
    response[test] = np.where(not_asked, "It is 7.", response[test])
    other = setup_of(replace(data, quality=quality, response=pa.array(response.ravel().tolist())))
    assert arms_in(other).names == arms.names
    [after] = play(point, replace(world, truth=other.truth, arms=arms_in(other).truth))
    assert same(before, after)


def test_no_rating_no_news_but_agreement(setup: Setup) -> None:
    """Where no rating ever comes, agreement still moves what a plan is expected to cost."""
    entry = enter("dacr", setup)
    point = replace(entry, points=entry.points[1:2])
    [played] = play(point, replace(setup.world, plan=replace(setup.world.plan, p_miss=1.0)))
    first, last = played.cost_hat[:, :20], played.cost_hat[:, -20:]
    plan_first, plan_last = played.model[:, :20] >= 4, played.model[:, -20:] >= 4
    assert plan_first.any() and plan_last.any()
    assert abs(first[plan_first].mean() / last[plan_last].mean() - 1) > 1e-4


def test_agreement_is_counted_when_a_call_ends_and_not_again_with_its_rating(setup: Setup) -> None:
    entry = enter("dacr", setup)
    router = stack([entry.points[1].router])
    assert isinstance(router, DacrRouter)
    router.start(1, len(entry.requests.domains), np.zeros(1, dtype=np.uint64))
    one = entry.requests.take(np.array([0]))
    router.decide(one)
    plan, agreed = np.array([4]), np.ones(1)
    sites = router._agreement._shift.tau
    router.observe(Feedback.about(one, plan, quality=1.0, agreed=agreed))
    assert sites.sum() == 0.0
    router.observe(Feedback.about(one, plan, cost_usd=1e-3, late=0.0, agreed=agreed))
    assert (sites > 0).sum() == 1


def test_budgets_are_kept(setup: Setup) -> None:
    budgets = FloatList((4e-4, 1e-3, 2e-3))
    under = setup_of(lambdas=FloatList((0.0,)), budget_cost=budgets)
    entry = enter("dacr", under)
    points = [point for point in entry.points if point.enforced]
    for point, one in zip(points, play(replace(entry, points=tuple(points)), under.world), strict=True):
        assert one.cost_usd.mean(axis=1).max() <= 1.02 * point.budget_cost


def test_without_responses_there_are_no_plans_and_nothing_changes() -> None:
    bare = table(response=False)
    one, other = (setup_of(bare, plans=plans) for plans in ("auto", "none"))
    assert one.arms is None
    for name in ("dacr", "static"):
        pairs = zip(play(enter(name, one), one.world), play(enter(name, other), other.world), strict=True)
        assert all(same(*pair) for pair in pairs)


@pytest.mark.parametrize(
    "protocol", ["price_change:model=d,at=0.5,factor=3,announced=true", "degrade:model=d,factor=0.5"]
)
def test_protocols_reach_plans_through_their_models(setup: Setup, protocol: str) -> None:
    changed = setup_of(protocol=protocol)
    arms = arms_in(changed)
    world = changed.world.for_arms(len(arms.names))
    assert world.effects is not None
    n = len(arms.test)
    had = world.effects.outcomes(np.full(n, n - 1), world.truth)
    models = replace(world.effects, known_cost_factor=None).outcomes(n - 1, changed.truth)
    np.testing.assert_allclose(had.quality[:, 4:], np.take_along_axis(models.quality, arms.test.shipped, axis=1))
    for k in range(len(arms.plans)):
        np.testing.assert_allclose(had.cost_usd[:, 4 + k], arms.test.of(k, models.cost_usd).sum(axis=1))
    played = play(enter("dacr", changed), changed.world)
    assert all(np.isfinite(one.cost_usd).all() for one in played)


def test_a_plan_is_closed_while_one_of_its_models_is_not_there() -> None:
    late = setup_of(protocol="late_joiner:model=a,at=0.5,cold=false")
    names = arms_in(late).names
    with_a = [k for k, name in enumerate(names) if k >= 4 and "a" in name.split("(")[1].replace(">", ",").split(", ")]
    for one in play(enter("dacr", late), late.world):
        half = one.model[:, : len(late.truth) // 2]
        assert not np.isin(half, [0, *with_a]).any()


def test_calls_of_a_round_wait_side_by_side_behind_replicas() -> None:
    queued = setup_of(replicas="50")
    entry = enter("static", queued)
    for one in play(entry, queued.world):
        plan = one.model >= 4
        idle = arms_in(queued).truth.latency_s[one.row, one.model]
        np.testing.assert_allclose(one.latency_s[plan], idle[plan])  # nobody waits for one of fifty
    busy = setup_of(replicas="1")
    for one in play(enter("static", busy), busy.world):
        idle = arms_in(busy).truth.latency_s[one.row, one.model]
        assert (one.latency_s >= idle - 1e-9).all()


def test_replays_with_plans_are_kept_by_what_plans_do(setup: Setup, tmp_path: Path) -> None:
    cache, entry, alone = Cache(tmp_path), enter("dacr", setup), enter("zero", setup)
    truth = arms_in(setup).truth
    other = replace(setup.world, arms=replace(truth, quality=1 - truth.quality))
    assert Kept.of(entry, setup.world, cache).name != Kept.of(entry, other, cache).name
    assert Kept.of(alone, setup.world, cache).name == Kept.of(alone, other, cache).name


def test_a_file_of_plans(tmp_path: Path) -> None:
    path = tmp_path / "plans.txt"
    path.write_text("# mine\ngate(a, b > d)\n\nmajority(a, b, c > d)  # all\n", encoding="utf-8")
    arms = arms_in(setup_of(plans=str(path)))
    assert arms.names[4:] == ("gate(a, b > d)", "majority(a, b, c > d)")


@pytest.mark.parametrize("name", ["dacr", "consensus", "linucb"])
def test_plans_that_read_cues_are_played(name: str, tmp_path: Path) -> None:
    path = tmp_path / "plans.txt"
    path.write_text("cue(a > d)\ncue_gate(a, b > d)\n", encoding="utf-8")
    data = table()
    texts = np.array(data.response.to_pylist(), dtype=object).reshape(N, 4)
    unsure = (data.quality == 0) & (np.random.default_rng(1).random((N, 4)) < 0.8)
    texts[unsure] = "Perhaps " + texts[unsure]
    cued = setup_of(replace(data, response=pa.array(texts.ravel().tolist())), plans=str(path))
    arms = arms_in(cued)
    assert arms.names[4:] == ("cue(a > d)", "cue_gate(a, b > d)")
    for one in play(enter(name, cued), cued.world):
        plan = one.model >= 4
        row, k = one.row[plan], one.model[plan] - 4
        member, asked = arms.test.member[k], arms.test.round[row, k] > 0
        paid = np.where(asked, cued.truth.cost_usd[row[:, None], member], 0.0).sum(axis=1)
        np.testing.assert_allclose(one.cost_usd[plan], paid)
    # a hedges mostly where it errs, so that most of what a alone loses is had for a part of d's price.
    assert arms.truth.quality[:, 4].mean() > cued.truth.quality[:, 0].mean() + 0.1
    assert arms.truth.cost_usd[:, 4].mean() < 0.6 * cued.truth.cost_usd[:, 3].mean()
    wide = with_plans(replace(data, response=pa.array(texts.ravel().tolist())), arms.names[4:], cued.estimator.train)
    np.testing.assert_array_equal(wide.quality[cued.estimator.test], arms.truth.quality)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate(a, b > z)", "unknown model 'z'"),
        ("gate(a, b)", "needs an end"),
        ("# none\n", "names no plan"),
    ],
)
def test_a_file_that_is_no_file_of_plans(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "plans.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_plans(path, MODELS)


def test_plans_by_name_where_no_answer_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "plans.txt"
    path.write_text("gate(a, b > d)\n", encoding="utf-8")
    mute = replace(table(), response=pa.array([""] * (4 * N)))
    assert setup_of(mute).arms is None
    with pytest.raises(UserError, match="--plans none"):
        setup_of(mute, plans=str(path))


def test_a_table_with_plans_is_what_routers_played(setup: Setup) -> None:
    arms, data = arms_in(setup), table()
    wide = with_plans(data, arms.names[4:], setup.estimator.train)
    assert wide.model == arms.names
    np.testing.assert_array_equal(wide.quality[setup.estimator.test], arms.truth.quality)
    np.testing.assert_allclose(wide.cost_usd[setup.estimator.test], arms.truth.cost_usd)
    with pytest.raises(UserError, match="no responses"):
        with_plans(table(response=False), arms.names[4:], setup.estimator.train)
