"""A plan whose models agree too seldom is dropped by dacr, though nobody has rated an answer."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts.problem import standard
from dacr.routers.dacr.router import DacrRouter
from dacr.routers.plans.base import parse_plan
from dacr.routers.plans.paths import paths_of
from dacr.types import Estimates, Feedback, Outcomes, Training

NAMES, SPEC = ("a", "b", "c"), "gate(a, b > c)"
COST = np.array([1.0, 1.0, 10.0])
TRAIN, UNSEEN = 400, 3


def requests(n: int, domain: np.ndarray, p: np.ndarray) -> Estimates:
    few = standard().train.requests.take(np.arange(n) % len(standard().train.requests))
    cost = np.tile([*COST, 2.0 + 0.2 * COST[2]], (n, 1))
    return few.with_(
        models=(*NAMES, SPEC), domain=domain, p=np.tile(p, (n, 1)), p_raw=np.tile(p, (n, 1)), cost_hat=cost,
        cost_upper=np.tile([*COST, COST.sum()], (n, 1)), p_late=np.full((n, 4), 0.01),
    )  # fmt: skip


@pytest.fixture
def router() -> DacrRouter:
    """In training probes agree on 8 of 10 and are then right; c is nearly always right."""
    i = np.arange(TRAIN)
    answer = np.where((i % 10 < 8)[:, None], [1, 1, 1], [2, 3, 1])
    answer[i % 50 == 9, 2] = 4
    truth = Outcomes(
        (answer == 1).astype(float),
        np.tile(COST, (TRAIN, 1)),
        np.ones((TRAIN, 3)),
        np.zeros((TRAIN, 3), bool),
        answer=answer,
    )
    arms = paths_of([parse_plan(SPEC)], NAMES, truth).beside(truth, 10.0)
    seen = requests(TRAIN, i % 3, arms.quality.mean(axis=0))
    made = DacrRouter(lambda_cost=0.02, temper=0.0, explore=0.0)
    made.fit(Training(seen, arms, 10.0))
    made.start(1, len(seen.domains), np.zeros(1, dtype=np.uint64))
    return made


def test_a_plan_is_dropped_where_its_models_seldom_agree(router: DacrRouter) -> None:
    now = requests(1, np.array([UNSEEN]), np.array([0.8, 0.8, 0.98, 0.98]))
    assert router.decide(now).model.tolist() == [3]
    before = router.beliefs(now)
    for t in range(60):
        router.observe(Feedback.about(now, np.array([3]), t=t, cost_usd=12.0, late=0.0, agreed=np.zeros(1)))
    after = router.beliefs(now)
    assert after.cost_hat[0, 3] > before.cost_hat[0, 3] + 4  # nearly every request falls back
    value = after.p - 0.02 * after.cost_hat
    assert value[0, 3] < value[0, :3].max(), "its expected worth is negative"
    assert router.decide(now).model[0] != 3
