"""Static replay goes block by block: nothing may depend on where blocks begin."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dacr.contracts.problem import Problem, fitted_points, make_problem
from dacr.core.registry import routers
from dacr.core.rng import keys_of, seed_for
from dacr.estimates.fitted import clairvoyant
from dacr.replay import static
from dacr.replay.static import play_static
from dacr.routers.terms import argmax_fair
from dacr.types import Runs

STATIC = [name for name in routers.names() if not routers.get(name).learns]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(n_test=90, n_model=5)


@pytest.mark.parametrize("name", STATIC)
def test_blocks_change_nothing(name: str, problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(problem.requests)
    runs = Runs(np.stack([np.arange(n), np.arange(n)[::-1]]), problem.requests.arrival_s, (1, 2))
    router = fitted_points(name, problem.train)[-1]
    seen = clairvoyant(problem.requests, problem.truth) if router.clairvoyant else problem.requests
    whole = play_static(router, seen, problem.truth, runs)
    monkeypatch.setattr(static, "BLOCK_CELLS", 35)
    parts = play_static(router, seen, problem.truth, runs)
    for field in fields(whole):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(parts, field.name), err_msg=field.name)


@pytest.mark.parametrize("n_model", [1, 3, 11, 255, 256, 400])
def test_ties_go_to_a_keyed_draw_whatever_the_number_of_models(n_model: int) -> None:
    rng = np.random.default_rng(seed_for("ties", n_model))
    scores = rng.integers(0, 4, (300, n_model)).astype(float)
    scores[:5] = -np.inf
    scores[5] = np.arange(n_model)
    keys = keys_of(str(i) for i in range(300))
    model, propensity = argmax_fair(scores, keys, 3)
    best = scores == scores.max(axis=1, keepdims=True)
    assert best[np.arange(300), model].all()
    np.testing.assert_array_equal(propensity, 1.0 / best.sum(axis=1))
    assert model[5] == n_model - 1 and model.dtype == np.int64
    # A draw belongs to its request: alone it is the same, and over requests every tied model is drawn.
    alone = [int(argmax_fair(scores[i : i + 1], keys[i : i + 1], 3)[0][0]) for i in range(20)]
    assert alone == model[:20].tolist()
    if n_model == 3:
        assert set(model[:5].tolist()) <= {0, 1, 2} and len(set(argmax_fair(np.zeros((300, 3)), keys, 3)[0])) == 3
