"""Every registered router keeps its contract, alone and under budgets, queues and protocols."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts import router_stress
from dacr.contracts.problem import CONDITIONS, altered, everything, play_in, standard
from dacr.contracts.router import RULES
from dacr.contracts.router_stress import DELAY, alike, fitted, only
from dacr.core.registry import routers

NAMES = routers.names()
ASKED = {
    "random", "cheapest", "strongest", "best_single", "oracle", "zero", "knn", "routellm", "cascade",
    "predict_optimize", "joint_ranker", "dacr_eq9", "dacr",
}  # fmt: skip


def test_the_asked_routers_are_registered_and_there_is_something_to_test() -> None:
    assert set(NAMES) >= ASKED
    learners = [name for name in NAMES if routers.get(name).learns]
    rivals = [name for name in NAMES if not routers.get(name).clairvoyant and name not in learners]
    assert len(learners) >= 3 and len(rivals) >= 10
    assert len(RULES) >= 14 and len({str(conditions) for conditions in CONDITIONS}) == len(CONDITIONS) >= 5


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_router(name, rule) -> None:
    rule(routers.get(name))


@pytest.mark.parametrize("name", [name for name in NAMES if routers.get(name).full_information])
def test_twins_are_not_told_of_a_model_before_it_joins(name: str) -> None:
    [joins] = [one for one in CONDITIONS if "late_joiner:model=model2" in one.protocol]  # at the middle of the stream
    problem, point = standard(), fitted(routers.get(name))[0]
    n = len(problem.requests)
    before = play_in(joins, [point], problem.requests, problem.truth, DELAY)
    assert np.isfinite(before.p_hat).all()
    for rows, changes in ((slice(0, n // 2), False), (slice(n // 2, n), True)):
        where = np.zeros_like(everything())
        where[rows, problem.requests.models.index("model2")] = True
        where[before.row[0], before.model[0]] = False
        after = play_in(joins, [point], problem.requests, altered(problem.truth, where), DELAY)
        assert alike(before, after) != changes


@pytest.mark.parametrize("name", ["predict_optimize", "dacr", "port", "random"])
def test_bills_act_on_those_who_have_a_budget(name: str) -> None:
    part = routers.get(name)
    for conditions, kind in ((CONDITIONS[0], "cost_usd"), (CONDITIONS[1], "latency_s")):
        before = router_stress._play(part, conditions, standard().truth)
        dearer = only(kind, altered(standard().truth, everything()))
        after = router_stress._play(part, conditions, dearer)
        assert not np.array_equal(before.model, after.model), str(conditions)
