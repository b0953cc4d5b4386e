"""Pacing of late answers: by hand, and against models that are later than anybody believed."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.rng import generator, keys_of
from dacr.replay.budgets.late_pace import LatePace
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import Router
from dacr.types import Estimates, Outcomes, Played, Runs

ONE = np.array([0])


def requests_of(p_late: np.ndarray, value: np.ndarray, domain: np.ndarray | None = None) -> Estimates:
    n = len(p_late)
    money = np.full(p_late.shape, 1e-3)
    return Estimates(
        key=keys_of(f"q{i}" for i in range(n)),
        features=np.zeros((n, 1), dtype=np.float32),
        domain=np.zeros(n, dtype=np.int64) if domain is None else domain,
        p_raw=value,
        p=value,
        cost_hat=money,
        cost_upper=money,
        p_late=p_late,
        arrival_s=np.arange(n) / 3.0,
        models=tuple(f"m{i}" for i in range(p_late.shape[1])),
        domains=("a", "b"),
    )


def one_of(p_late: list[float], domain: int = 0) -> Estimates:
    return requests_of(np.array([p_late]), np.zeros((1, len(p_late))), np.array([domain]))


def test_what_is_learnt_of_lateness_by_hand() -> None:
    """Two calls of model 0 in domain a, predicted .2, both late: b_m = 1.6 / 6, b_{m,a} = (1.6 + 4 b_m) / 6."""
    clock = LatePace(np.array([0.1]), 100)
    np.testing.assert_allclose(clock.see(one_of([0.2, 0.3])), [[0.2, 0.3]])
    for _ in range(2):
        clock.end(ONE, ONE, ONE, np.array([0.2]), np.array([1.0]))
    overall = 1.6 / 6
    np.testing.assert_allclose(clock.see(one_of([0.2, 0.3])), [[0.2 + (1.6 + 4 * overall) / 6, 0.3]])
    np.testing.assert_allclose(clock.see(one_of([0.2, 0.3], domain=1)), [[0.2 + overall, 0.3]])
    assert clock.see(one_of([0.9, 0.3])).tolist() == [[1.0, 0.3]]  # a probability


def test_pace_by_hand() -> None:
    """delta n = 10. After 20 decisions with 2 late and 4 in flight at .5: (10 - 2 - 2) / 80."""
    clock = LatePace(np.array([0.1]), 100)
    for _ in range(20):
        clock.see(one_of([0.5, 0.5]))
    for _ in range(6):
        clock.start(ONE)
    for _ in range(2):
        clock.end(ONE, ONE, ONE, np.array([1.0]), np.array([1.0]))
    np.testing.assert_allclose(clock.pace(), 6 / 80)
    unknown = LatePace(np.array([0.1]), None)
    unknown.see(one_of([0.5, 0.5]))
    np.testing.assert_allclose(unknown.pace(), 0.1 + 0.1 / 200)
    for _ in range(50):
        unknown.end(ONE, ONE, ONE, np.array([0.5]), np.array([1.0]))
    np.testing.assert_allclose(unknown.pace(), 0.02 * 0.1)


def test_calls_whose_lateness_nobody_knows_are_rationed() -> None:
    """1 + .05 x .2 x 100 = 2 calls' worth of doubt is 8 calls in flight at 1/4 each."""
    clock = LatePace(np.array([0.2, np.inf]), 100)
    pair = one_of([0.3, 0.1, 0.2]).take(np.array([0, 0]))
    for started in range(10):
        clock.see(pair)
        expected = [True] * 3 if started < 8 else [False, True, False]
        assert clock.open_to().tolist() == [expected, [True] * 3]
        clock.start(np.array([0, 0]))
    for _ in range(10):
        clock.end(ONE, ONE, ONE, np.array([0.3]), np.array([0.0]))
    assert clock.open_to()[0].all()


class Greedy(Router):
    """Takes what it believes best; it learns nothing and prices nothing itself."""

    name = "greedy"

    def scores(self, requests: Estimates) -> np.ndarray:
        return requests.p


def play(share: float, n: int, horizon: int | None, order: np.ndarray | None = None) -> tuple[Played, np.ndarray]:
    """Three models: the best is late 70 % of the time, the second 10 %, the worst never; training saw none of it."""
    rng = generator("late world")
    late = rng.random((n, 3)) < np.array([0.7, 0.1, 0.0])
    value = np.tile([0.7, 0.6, 0.4], (n, 1)) + rng.normal(0, 0.05, (n, 3))
    requests = requests_of(np.full((n, 3), 0.001), value.clip(0, 1))
    truth = Outcomes(requests.p, np.full((n, 3), 1e-3), np.where(late, 14.0, 5.0), late)
    runs = Runs(np.arange(n)[None], requests.arrival_s, (1,))
    pacer = Pacer(np.array([np.inf]), np.array([share]), horizon)
    return play_runs(Greedy(), requests, truth, runs, FeedbackPlan(), pacer), late


@pytest.mark.parametrize("horizon", [1200, None])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.5])
def test_a_share_of_late_answers_holds_though_predictions_know_nothing(share: float, horizon: int | None) -> None:
    played, late = play(share, 1200, horizon)
    had = late[np.arange(1200), played.model[0]].mean()
    assert had <= share + 0.01
    assert had >= 0.75 * share, "the clock closes more than it must"


def test_a_target_that_does_not_bind_changes_nothing() -> None:
    played, late = play(1.0, 400, 400)
    assert (played.price_late == 0).all()
    assert late[np.arange(400), played.model[0]].mean() > 0.5
