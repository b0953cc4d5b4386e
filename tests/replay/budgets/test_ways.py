"""Cascades under enforced budgets: which of their ways is gone, who pays, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dacr.core.registry import routers
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup
from dacr.types import SHED, Played
from tests.replay.test_arms import COST, setup_of

BUDGETS = (1.3e-4, 4e-4, 1.5e-3, 6e-3)
CASCADES = ("cascade", "chain", "cascade_routing", "cascade_agreement")


def under_budgets(**changes: Any) -> Setup:
    made = setup_of()
    return replace(made, settings=replace(made.settings, budget_cost=BUDGETS, **changes))


def enforced(setup: Setup, name: str) -> list[Played]:
    entry = enter(name, setup)
    done = play(entry, setup.world)
    return [one for one, point in zip(done, entry.points, strict=True) if point.enforced]


@pytest.mark.parametrize("name", CASCADES)
def test_budgets_are_kept_and_money_buys_quality(name: str) -> None:
    setup = under_budgets()
    if routers.get(name).needs_plans and setup.arms is None:
        pytest.skip("no plans")
    played = enforced(setup, name)
    assert len(played) == len(BUDGETS)
    for one, budget in zip(played, BUDGETS, strict=True):
        assert (one.cost_usd.mean(axis=1) <= 1.01 * budget).all()
        assert (one.model != SHED).mean() > 0.9
    spent = [one.cost_usd.mean() for one in played]
    assert spent == sorted(spent)
    if name != "chain":  # which takes any number for an answer: it keeps the first
        assert played[-1].quality.mean() > played[0].quality.mean()


@pytest.mark.parametrize("name", CASCADES)
def test_each_request_goes_one_of_the_ways(name: str) -> None:
    """Cost, answer and calls of a request are those of one way, whose calls are all paid."""
    setup = under_budgets()
    entry = enter(name, setup)
    ways = entry.ways
    assert ways is not None
    for one, point in zip(play(entry, setup.world), entry.points, strict=True):
        if not point.enforced:
            continue
        same = np.ones((*one.row.shape, ways.truth.cost_usd.shape[1]), dtype=bool)
        for values, got in (
            (ways.truth.cost_usd, one.cost_usd),
            (ways.truth.quality, one.quality),
            (ways.truth.latency_s, one.latency_s),
            (ways.model, one.model),
            (ways.attempts, one.attempts),
        ):
            same &= values[one.row] == got[..., None]
        assert same.any(axis=2).all()
    alone = setup.truth.cost_usd[:, int(COST.argmin())]
    np.testing.assert_array_equal(ways.truth.cost_usd[:, 0], alone)
    assert (ways.truth.cost_usd >= 0).all() and (ways.attempts[:, 0] == 1).all()


def test_a_chain_of_one_setting_is_shortened() -> None:
    ways = enter("chain", under_budgets()).ways
    assert ways is not None
    most = ways.attempts.max(axis=0)
    assert most[0] == 1
    np.testing.assert_array_equal(most[1:], np.arange(1, len(most)))
    assert [len(path) for path in ways.path] == [1, *range(1, len(most))]


def test_changed_answers_of_models_not_asked_change_nothing() -> None:
    setup = under_budgets()
    before = enforced(setup, "cascade")
    entry = enter("cascade", setup)
    assert entry.ways is not None
    never = np.setdiff1d(np.arange(len(COST)), np.unique(np.concatenate(entry.ways.path)))
    truth = replace(setup.truth, quality=setup.truth.quality.copy())
    truth.quality[:, never] = 1 - truth.quality[:, never]
    changed = replace(setup.world, truth=truth)
    after = [one for one, point in zip(play(entry, changed), entry.points, strict=True) if point.enforced]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.model, other.model)
        np.testing.assert_array_equal(one.cost_usd, other.cost_usd)


def test_where_the_most_is_known_no_run_is_over() -> None:
    setup = under_budgets(max_call_usd=str(1.4 * COST.max()))
    for one, budget in zip(enforced(setup, "cascade"), BUDGETS, strict=True):
        assert (one.cost_usd.sum(axis=1) <= budget * one.row.shape[1] * (1 + 1e-9)).all()


def test_along_a_protocol_and_with_limits_of_their_own_they_play_no_budget() -> None:
    assert not enforced(under_budgets(protocol="degrade:model=d,factor=0.5"), "cascade")
    assert not enforced(under_budgets(), "rules")
