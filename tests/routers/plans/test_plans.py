"""Plans: whom they ask, in which order, whose answer they ship; and what that costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.core.registry import plans
from dacr.estimates.answers.read import UNREAD
from dacr.estimates.features.cues import NAMES
from dacr.routers.plans.base import STOP, Plan, Replies, parse_plan
from dacr.routers.plans.choose import bits, choose_plans, informative, near_hull, prices_of
from dacr.routers.plans.paths import folds_of, follow, paths_of, walk
from dacr.types import Bools, Ints, Outcomes

MODELS = ("a", "b", "c", "d")


def outcomes(quality: np.ndarray, cost: tuple[float, ...], latency: np.ndarray | None = None) -> Outcomes:
    cost_usd = np.tile(cost, (len(quality), 1))
    latency_s = np.ones_like(quality) if latency is None else latency
    return Outcomes(quality, cost_usd, latency_s, latency_s > 10.0)


def example(name: str) -> Plan:
    n_probe = plans.get(name).n_probe
    return plans.get(name)(MODELS[:n_probe], MODELS[n_probe])


def cues_of(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, 4, len(NAMES))).astype(np.float32)


def heard(n: int, seed: int = 0) -> Outcomes:
    """What four models answered to ``n`` requests, with cues; an answer that hedges is mostly wrong."""
    rng, cues = np.random.default_rng(seed), cues_of(n, seed)
    quality = (rng.random((n, 4)) < np.where(cues[:, :, NAMES.index("hedges")] > 0, 0.2, 0.9)).astype(float)
    answer = np.where(quality > 0, 0, rng.integers(1, 4, (n, 4)))
    return replace(outcomes(quality, (1.0, 4.0, 16.0, 64.0)), cues=cues, answer=answer)


def test_there_are_plans() -> None:
    assert {"gate", "majority", "cue", "cue_gate"} <= set(plans.names())


def test_a_cue_by_hand() -> None:
    plan = parse_plan("cue(a > c)")
    when, ship = walk(plan, np.array([[1, 2], [UNREAD, 2]]))
    assert when.tolist() == [[1, 0], [1, 2]] and ship.tolist() == [0, 1]
    cues = np.zeros((1, 2, len(NAMES)), dtype=np.float32)
    cues[0, 0, NAMES.index("hedges")] = 1
    assert walk(plan, np.array([[1, 2]]), cues)[1].tolist() == [1]


def test_a_cue_gate_by_hand() -> None:
    plan = parse_plan("cue_gate(a, b > c)")
    cues = np.zeros((4, 3, len(NAMES)), dtype=np.float32)
    cues[2:, 0, NAMES.index("refuses")] = 1
    when, ship = walk(plan, np.array([[1, 2, 3], [UNREAD, 2, 3], [1, 1, 2], [1, 2, 3]]), cues)
    assert when.tolist() == [[1, 0, 0], [1, 2, 3], [1, 2, 0], [1, 2, 3]]
    assert ship.tolist() == [0, 2, plan.first_of(0, 1), 2]


@pytest.mark.parametrize("name", ["cue", "cue_gate"])
def test_cues_are_learnt_where_they_tell_right_from_wrong(name: str) -> None:
    truth, own = heard(2000), np.arange(len(example(name).members))
    truth.quality[:, own[-1]] = 1.0
    plan = example(name).fit(truth, own)
    when, _ = walk(plan, truth.answer[:, own], truth.cues[:, own])
    hedges = truth.cues[:, 0, NAMES.index("hedges")] > 0
    assert (when[:, 1] > 0)[hedges].mean() > 0.9 and (when[:, 1] > 0)[~hedges].mean() < 0.6


@pytest.mark.parametrize("name", [name for name in plans.names() if plans.get(name).learns])
def test_what_a_plan_learns_of_a_training_row_is_learnt_on_other_folds(name: str) -> None:
    truth, fold = heard(300), np.arange(300) % 3
    own = np.arange(len(example(name).members))
    other = replace(truth, quality=np.where((fold == 1)[:, None], 1 - truth.quality, truth.quality))
    one, moved = follow(example(name), own, truth, fold), follow(example(name), own, other, fold)
    np.testing.assert_array_equal(one[0][fold == 1], moved[0][fold == 1])
    assert (one[0] != moved[0]).any()


def test_folds_are_domains_where_there_are_three() -> None:
    assert folds_of(np.array([4, 7, 9, 4])).tolist() == [0, 1, 2, 0]
    assert folds_of(np.array([4, 7] * 5)).tolist() == [0, 1, 2, 3, 4] * 2


def test_a_gate_by_hand() -> None:
    plan = parse_plan("gate(a, b > c)")
    answer = np.array([[1, 1, 2], [1, 2, 2], [UNREAD, UNREAD, 3], [4, 5, UNREAD]])
    when, ship = walk(plan, answer)
    assert when.tolist() == [[1, 1, 0], [1, 1, 2], [1, 1, 2], [1, 1, 2]]
    assert ship.tolist() == [plan.first_of(0, 1), 2, 2, 2]


def test_of_two_equal_answers_that_of_the_better_model_is_shipped() -> None:
    plan = parse_plan("gate(a, b > c)").fit(
        outcomes(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]), (1, 1, 9)), np.arange(3)
    )
    assert walk(plan, np.array([[7, 7, 8]]))[1].tolist() == [0]


def test_a_majority_by_hand() -> None:
    plan = parse_plan("majority(a, b, c > d)")
    answer = np.array([[1, 1, 2, 9], [1, 2, 2, 9], [1, 2, 1, 9], [1, 2, 3, 9]])
    when, ship = walk(plan, answer)
    assert (when[:, :3] == 1).all() and when[:, 3].tolist() == [0, 0, 0, 2]
    assert [answer[k, one] for k, one in enumerate(ship)] == [1, 2, 1, 9]


def test_costs_and_latencies_by_hand() -> None:
    plan = parse_plan("gate(a, b > d)")
    answer = np.array([[1, 1, 0, 2], [1, 3, 0, 2]])
    latency = np.array([[2.0, 5.0, 1.0, 7.0], [2.0, 5.0, 1.0, 7.0]])
    truth = outcomes(np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]]), (1.0, 2.0, 4.0, 8.0), latency)
    arms = paths_of([plan], MODELS, replace(truth, answer=answer)).beside(truth, tau_s=10.0)
    assert arms.quality[:, 4].tolist() == [1.0, 0.5]
    assert arms.cost_usd[:, 4].tolist() == [3.0, 11.0]
    assert arms.latency_s[:, 4].tolist() == [5.0, 12.0]
    assert arms.late[:, 4].tolist() == [False, True]
    assert arms.paths is not None
    assert arms.paths.calls[:, 0].tolist() == [2, 3] and arms.paths.settled[:, 0].tolist() == [True, False]


@pytest.mark.parametrize("name", plans.names())
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_plan_pays_for_what_it_asked_and_ships_what_it_asked_for(name: str, data: st.DataObject) -> None:
    plan = example(name)
    n_member = len(plan.members)
    if data.draw(st.booleans()):
        plan.fit(heard(100), np.arange(n_member))
    rows = st.lists(st.integers(UNREAD, 3), min_size=n_member, max_size=n_member)
    answer = np.array(data.draw(st.lists(rows, min_size=1, max_size=12)))
    cues = cues_of(len(answer))[:, :n_member]
    when, ship = walk(plan, answer, cues)
    every = np.arange(len(answer))
    assert (when[every, ship] > 0).all()
    truth = outcomes(np.random.default_rng(0).random((len(answer), 4)), (1.0, 2.0, 4.0, 8.0))
    wide = np.column_stack([answer, np.full((len(answer), 4 - n_member), UNREAD)])
    arms = paths_of([plan], MODELS, replace(truth, answer=wide, cues=cues_of(len(wide)))).beside(truth, 10.0)
    paid = (truth.cost_usd[:, :n_member] * (when > 0)).sum(axis=1)
    np.testing.assert_allclose(arms.cost_usd[:, 4], paid)
    np.testing.assert_array_equal(arms.quality[:, 4], truth.quality[every, ship])
    # What models that were not asked would have said changes nothing.
    other = np.where(when > 0, answer, data.draw(st.integers(UNREAD, 3)))
    unlike = np.where((when > 0)[:, :, None], cues, 1 - cues).astype(np.float32)
    again = walk(plan, other, unlike)
    np.testing.assert_array_equal(again[0], when)
    np.testing.assert_array_equal(again[1], ship)
    # Nor does the company of other requests.
    alone = [walk(plan, answer[[k]], cues[[k]]) for k in every]
    np.testing.assert_array_equal(np.concatenate([one[1] for one in alone]), ship)


@pytest.mark.parametrize("name", plans.names())
def test_nothing_that_can_be_read_ends_at_the_fallback(name: str) -> None:
    plan = example(name)
    when, ship = walk(plan, np.full((2, len(plan.members)), UNREAD))
    assert (when > 0).all() and (ship == len(plan.members) - 1).all()


class Endless(Plan):
    """Asks nobody, and ships nothing."""

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Do nothing."""
        return np.zeros_like(replies.asked), np.full(len(replies.asked), STOP)


class Thief(Plan):
    """Ships an answer that it did not pay for."""

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask the first, ship the last."""
        ask = np.zeros_like(replies.asked)
        ask[:, 0] = ~replies.asked[:, 0]
        return ask, np.where(ask[:, 0], STOP, 2)


@pytest.mark.parametrize("make", [Endless, Thief])
def test_a_plan_that_breaks_its_contract_is_refused(make: type[Plan]) -> None:
    with pytest.raises(ValueError, match="did not ask for"):
        walk(make(("a", "b"), "c"), np.zeros((2, 3), dtype=np.int64))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gate(a, b)", "needs an end"),
        ("gate a, b > c", "is no plan"),
        ("gate(a > c)", "takes 2 probes"),
        ("gate(a, a > c)", "all of them different"),
        ("gtae(a, b > c)", "did you mean 'gate'"),
    ],
)
def test_a_plan_that_cannot_be_read(spec: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_plan(spec)


def test_a_plan_in_words_reads_back() -> None:
    assert parse_plan("gate(x/y-1.5,b >  c)").spec == "gate(x/y-1.5, b > c)"


def world(n: int = 400, seed: int = 0) -> tuple[Outcomes, np.ndarray, np.ndarray]:
    """Two cheap models that err apart, a dear one that is better; answers are free numbers."""
    rng = np.random.default_rng(seed)
    right = rng.random((n, 4)) < np.array([0.7, 0.7, 0.72, 0.95])
    answer = np.where(right, 0, 1 + rng.integers(0, 50, (n, 4)) + 50 * np.arange(4)) + 1000 * np.arange(n)[:, None]
    return outcomes(right.astype(float), (1.0, 1.0, 1.5, 60.0)), answer, np.arange(n) % 2


def test_plans_are_chosen_where_agreement_is_worth_it() -> None:
    truth, answer, family = world()
    chosen = choose_plans(MODELS, replace(truth, answer=answer), family, 3)
    assert 1 <= len(chosen) <= 3
    ending_well = [plan for plan in chosen if plan.members[-1] == "d"]
    arms = paths_of(ending_well[:1], MODELS, replace(truth, answer=answer)).beside(truth, 10.0)
    # Much of the dear model's quality for a part of its cost.
    assert arms.quality[:, 4].mean() > 0.93 and arms.cost_usd[:, 4].mean() < 45


def test_no_plans_where_answers_cannot_be_read_or_say_always_the_same() -> None:
    truth, answer, family = world()
    assert choose_plans(MODELS, replace(truth, answer=np.full_like(answer, UNREAD)), family, 5) == []
    assert choose_plans(MODELS, replace(truth, answer=np.zeros_like(answer)), family, 5) == []
    assert choose_plans(MODELS, replace(truth, answer=answer), family, 0) == []


def test_a_model_that_training_does_not_know_is_in_no_plan() -> None:
    truth, answer, family = world()
    chosen = choose_plans(MODELS, replace(truth, answer=answer), family, 12, known=np.array([True, False, True, True]))
    assert chosen and all("b" not in plan.members for plan in chosen)


def test_answers_that_carry_nothing() -> None:
    assert bits(np.array([1] * 99 + [2])) < 0.3 < bits(np.array([1] * 8 + [2] * 2))
    answer = np.column_stack([np.ones(10, dtype=int), np.arange(10)])
    heard = informative(answer, np.zeros(10, dtype=np.int64))
    assert (heard[:, 0] == UNREAD).all() and (heard[:, 1] == answer[:, 1]).all()


def test_many_models_are_bounded() -> None:
    rng = np.random.default_rng(1)
    cost, quality = rng.lognormal(size=500), rng.random(500)
    assert len(near_hull(cost, quality, prices_of(cost))) == 12
