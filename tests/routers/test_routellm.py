"""RouteLLM: its shares, also abreast, and what it makes of an enforced budget."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.registry import routers
from dacr.core.rng import generator, keys_of
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.routers.base import Router, Sweep, stack, with_setting
from dacr.types import Estimates, Outcomes, Played, Runs, Training

N_TRAIN, N = 2000, 1000
SHARES = routers.get("routellm").settings(Sweep())


@pytest.fixture(scope="module")
def data() -> tuple[Estimates, Outcomes]:
    """Model 0 is the cheapest, 3 the best: it gains most where the first feature is low, and loses where high."""
    n, cost = N_TRAIN + N, np.tile([0.1, 0.2, 0.3, 1.0, 2.0], (N_TRAIN + N, 1))
    features = generator("requests", n).normal(size=(n, 4)).astype(np.float32)
    p = 1 / (1 + np.exp(-2 * features[:, :1].astype(float)))
    draw = generator("routellm", n).random((n, 5))
    quality = (draw < np.hstack([p, p * 0, p * 0, 1 - 0.3 * p, p * 0])).astype(float)
    half = np.full((n, 5), 0.5)
    requests = Estimates(
        key=keys_of(f"q{i}" for i in range(n)),
        features=features,
        domain=np.zeros(n, dtype=np.int64),
        p_raw=half,
        p=half,
        cost_hat=cost,
        cost_upper=cost,
        p_late=half,
        arrival_s=np.arange(n, dtype=float),
        models=tuple("abcde"),
        domains=("d",),
    )
    return requests, Outcomes(quality, cost, np.ones((n, 5)), np.zeros((n, 5), dtype=bool))


@pytest.fixture(scope="module")
def fitted(data: tuple[Estimates, Outcomes]) -> Router:
    requests, truth = (part.take(slice(N_TRAIN)) for part in data)
    return routers.get("routellm")().fit(Training(requests, truth, 3.0))


def test_it_sends_the_asked_share_to_the_strong_model(data: tuple[Estimates, Outcomes], fitted: Router) -> None:
    before = np.zeros(N, dtype=bool)
    for point in SHARES:
        choice = with_setting(fitted, point).decide(data[0].take(slice(N_TRAIN, None)))
        assert set(choice.model.tolist()) <= {0, 3}  # the cheapest and the best in training, nothing else
        strong, share = choice.model == 3, point["strong_share"]
        assert strong.mean() == pytest.approx(share, abs=0 if share in (0, 1) else 0.06)
        assert (strong | ~before).all()  # who gets the strong model keeps it at a higher share
        before = strong


def abreast(points: list[Router], budgets: list[float], data: tuple[Estimates, Outcomes]) -> Played:
    """Play points position by position, each in one run under its budget."""
    requests, truth = (part.take(slice(N_TRAIN, None)) for part in data)
    runs = Runs(np.tile(np.arange(N), (len(points), 1)), requests.arrival_s, (1,) * len(points))
    pacer = Pacer(np.array(budgets), np.full(len(points), np.inf), N)
    return play_runs(stack(points), requests, truth, runs, FeedbackPlan(), pacer)


def test_shares_that_play_abreast_stay_apart(data: tuple[Estimates, Outcomes], fitted: Router) -> None:
    points = [with_setting(fitted, point) for point in SHARES]
    together = abreast(points, [np.inf] * len(points), data)
    requests, truth = (part.take(slice(N_TRAIN, None)) for part in data)
    for point, model in zip(points, together.model, strict=True):
        runs = Runs(np.arange(N)[None], requests.arrival_s, (1,))
        assert (play_static(point, requests, truth, runs).model[0] == model).all()


def test_money_buys_what_the_end_of_the_frontier_has(data: tuple[Estimates, Outcomes], fitted: Router) -> None:
    """Always strong costs 1 a call, half of the calls .55: a budget of 1 is loose, and .75 buys more than half."""
    free = with_setting(fitted, type(fitted).budget_setting(Sweep()))
    budgets = [0.2, 0.4, 0.75, 1.0]
    played = abreast([free] * len(budgets), budgets, data)
    assert (played.cost_usd.mean(axis=1) <= 1.02 * np.array(budgets)).all()
    strong, quality = (played.model == 3).mean(axis=1), played.quality.mean(axis=1)
    assert (np.diff(strong) > 0).all() and strong[2] > 0.65
    requests, truth = (part.take(slice(N_TRAIN, None)) for part in data)
    assert quality[-1] >= truth.quality[:, 3].mean() - 0.005
    # With money to spare the weak model keeps what it is expected to win.
    win = fitted.win_rate_.predict(requests.features)[:, 0]
    assert ((played.model[-1] == 3) == (win[played.row[-1]] > 0.5)).all()
