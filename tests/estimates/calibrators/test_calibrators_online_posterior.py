"""DACR's own posterior, seen as a calibrator: defined and finite where training is degenerate."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts.problem import make_problem
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Feedback, Floats, Training

CASES = {
    "one class": (None, np.ones),
    "no success": (None, np.zeros),
    "constant predictor": (0.4, None),
    "exactly 0 and 1": ("ends", None),
}


@pytest.mark.parametrize("case", CASES)
def test_beliefs_are_finite_and_move(case: str) -> None:
    problem = make_problem(n_train=60, n_test=8)
    requests, outcomes = problem.train.requests, problem.train.outcomes
    p, quality = CASES[case]
    raw: Floats = requests.p_raw
    if p == "ends":
        raw = np.round(requests.p_raw)
    elif p is not None:
        raw = np.full_like(requests.p_raw, p)
    label = outcomes.quality if quality is None else quality(outcomes.quality.shape)
    # One query alone in its domain; the test part's last domain is in no training row.
    domain = np.where(np.arange(60) == 0, 2, requests.domain % 2)
    train = Training(
        requests.with_(p_raw=raw, domain=domain),
        type(outcomes)(label, outcomes.cost_usd, outcomes.latency_s, outcomes.late, outcomes.cues),
        problem.train.tau_s,
    )
    router = DacrRouter().fit(train)
    n = len(problem.requests)
    router.start(n, len(requests.domains), np.arange(n, dtype=np.uint64))
    ends = np.tile([0.0, 1.0], (n, 2))
    asked = problem.requests.with_(p_raw=ends, domain=np.arange(n) % 5 - 1)  # -1: no label
    run = np.arange(n)
    before = router.believed(run, asked)
    assert np.isfinite(before).all() and (before >= 0).all() and (before <= 1).all()
    for _ in range(3):
        router.observe(
            Feedback(
                run=run,
                t=np.zeros(n, dtype=np.int64),
                requests=asked,
                model=run % 4,
                propensity=np.ones(n),
                cost_usd=np.full(n, np.nan),
                late=np.full(n, np.nan),
                quality=np.zeros(n) + (case == "no success"),
            )
        )
    after = router.believed(run, asked)
    assert np.isfinite(after).all() and (after >= 0).all() and (after <= 1).all()
    moved = (after - before)[run, run % 4]
    assert ((moved > 0) if case == "no success" else (moved < 0)).all()
