"""The linear bandits against naive implementations: one run, one arm, one full inversion at a time."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts.problem import make_problem
from dacr.core.rng import generator
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import stack
from dacr.routers.linucb import LinUcbRouter
from dacr.routers.paced_bandit import PacedBanditRouter
from dacr.routers.ridge_arms import RidgeArms, learn_ratings, look
from dacr.types import Feedback, Runs


def update(arms: RidgeArms, run: np.ndarray, model: np.ndarray, x: np.ndarray, y: np.ndarray, t: np.ndarray) -> None:
    learn_ratings(run, model, np.arange(len(run)), x, y, t, arms.state)


def mean_and_sd(arms: RidgeArms, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a request per run would be told of every arm, (n_run, n_model) each."""
    mean, sd = np.empty((2, len(x), len(arms.start)))
    look(np.arange(len(x)), x, arms.unrated(x), arms.state, mean, sd)
    return mean, sd


class NaiveArm:
    """A and b written down, inverted when asked."""

    def __init__(self, precision, moment, discount, ridge, stale_max=50.0):
        self.a, self.b = precision.copy(), moment.copy()
        self.start = np.linalg.solve(precision, moment)
        self.discount, self.ridge, self.stale_max = discount, ridge, stale_max
        self.last, self.turn = 0.0, 0

    def kept(self, age):
        return max(self.discount**age, 1 / self.stale_max)

    def update(self, x, y, t):
        if self.discount < 1:
            g, d = self.kept(max(t - self.last, 0)), len(x)
            j = self.turn % d
            self.a, self.b = g * self.a, g * self.b
            self.a[j, j] += (1 - g) * d * self.ridge
            self.b[j] += (1 - g) * d * self.ridge * self.start[j]
            self.last, self.turn = max(self.last, t), self.turn + 1
        self.a += np.outer(x, x)
        self.b += y * x

    def mean(self, x):
        return float(np.linalg.solve(self.a, self.b) @ x)

    def sd(self, x, clock):
        return float(np.sqrt(x @ np.linalg.solve(self.a, x) / self.kept(clock - self.last)))


@pytest.mark.parametrize("discount", [1.0, 0.97])
def test_rank_one_steps_equal_full_inversions(discount):
    rng = generator("ridge arms")
    n_run, n_model, d = 3, 2, 4
    root = rng.normal(size=(n_model, d, d))
    precision = np.eye(d) + root @ root.transpose(0, 2, 1)
    moment = rng.normal(size=(n_model, d))
    arms = RidgeArms(n_run, precision, moment, discount, ridge=0.7)
    naive = [[NaiveArm(precision[m], moment[m], discount, 0.7) for m in range(n_model)] for _ in range(n_run)]
    clock = np.zeros(n_run)
    for step in range(120):
        size = rng.integers(1, 7)  # the same arm may stand several times, and out of order
        run, model = rng.integers(0, n_run, size), rng.integers(0, n_model, size)
        t = np.maximum(step * 2 + rng.integers(-5, 3, size), 0)
        x, y = rng.normal(size=(size, d)), rng.uniform(size=size)
        update(arms, run, model, x, y, t)
        for i in range(size):
            naive[run[i]][model[i]].update(x[i], y[i], t[i])
            clock[run[i]] = max(clock[run[i]], t[i])
    ask = rng.normal(size=(n_run, d))
    mean = [[naive[r][m].mean(ask[r]) for m in range(n_model)] for r in range(n_run)]
    sd = [[naive[r][m].sd(ask[r], clock[r]) for m in range(n_model)] for r in range(n_run)]
    np.testing.assert_allclose(mean_and_sd(arms, ask)[0], mean, rtol=1e-8)
    np.testing.assert_allclose(mean_and_sd(arms, ask)[1], sd, rtol=1e-8)


def test_one_arm_by_hand():
    # A = 1, b = 0; after ratings 1 and 0 of x = 1: A = 3, b = 1.
    arms = RidgeArms(1, np.ones((1, 1, 1)), np.zeros((1, 1)))
    zero = np.zeros(2, dtype=np.int64)
    update(arms, zero, zero, np.ones((2, 1)), np.array([1.0, 0.0]), np.array([0, 1]))
    assert mean_and_sd(arms, np.ones((1, 1)))[0][0, 0] == pytest.approx(1 / 3)
    assert mean_and_sd(arms, np.full((1, 1), 3.0))[1][0, 0] == pytest.approx(np.sqrt(9 / 3))


def test_discounting_follows_a_change_and_stays_bounded():
    plain, fading = (RidgeArms(1, np.ones((1, 1, 1)), np.zeros((1, 1)), g) for g in (1.0, 0.9))
    zero = np.zeros(1, dtype=np.int64)
    for t in range(7500):  # 0.9 ** 7500 is 0 in floating point
        for arms in (plain, fading):
            if arms is fading or t < 300:
                update(arms, zero, zero, np.ones((1, 1)), np.array([float(t < 200)]), np.array([t]))
    one = np.ones((1, 1))
    assert mean_and_sd(plain, one)[0][0, 0] > 0.6 and mean_and_sd(fading, one)[0][0, 0] < 0.02
    # 10 remembered ratings and the ridge
    assert mean_and_sd(fading, one)[1][0, 0] == pytest.approx(1 / np.sqrt(11), rel=1e-6)


def test_an_idle_arm_looks_ever_more_worth_a_try():
    arms = RidgeArms(1, np.tile(np.eye(2), (2, 1, 1)), np.zeros((2, 2)), 0.9)
    zero = np.zeros(1, dtype=np.int64)
    x = np.array([[1.0, 0.0]])
    before = mean_and_sd(arms, x)[1][0]
    for t in range(100):
        update(arms, zero, zero, x, np.array([0.5]), np.array([t]))
    after = mean_and_sd(arms, x)[1][0]
    assert after[0] < before[0] and after[1] == pytest.approx(before[1] * np.sqrt(50))


@pytest.mark.parametrize("make", [LinUcbRouter, PacedBanditRouter])
def test_decisions_equal_a_naive_learner_run_by_run(make):
    problem = make_problem()
    router = make(lambda_cost=20.0, alpha=0.3, n_dim=3).fit(problem.train)
    router.start(2, 4, np.zeros(2, dtype=np.uint64))
    naive = [
        [NaiveArm(router.precision_[m], router.moment_[m], router.discount, router.ridge) for m in range(4)]
        for _ in range(2)
    ]
    rng = generator("naive linucb")
    clock = np.zeros(2)
    for t in range(60):
        requests = problem.requests.take([t, 59 - t])
        x = router.context(requests)
        assert x.shape == (2, 4)
        # Costs are never told here, so their factor stays 1.
        expected = [
            [
                naive[r][m].mean(x[r]) + 0.3 * naive[r][m].sd(x[r], clock[r]) - 20.0 * requests.cost_hat[r, m]
                for m in range(4)
            ]
            for r in range(2)
        ]
        np.testing.assert_allclose(router.scores(requests), expected, rtol=1e-8)
        model = np.argmax(expected, axis=1)
        assert (router.decide(requests).model == model).all()
        quality = np.where(rng.uniform(size=2) < 0.7, rng.uniform(size=2), np.nan)
        unknown = np.full(2, np.nan)
        router.observe(Feedback(np.arange(2), np.full(2, t), requests, model, np.ones(2), unknown, unknown, quality))
        for r in np.flatnonzero(np.isfinite(quality)):
            naive[r][model[r]].update(x[r], quality[r], t)
            clock[r] = t


def test_warm_start_is_worth_what_it_says():
    problem = make_problem()
    cold, warm = (LinUcbRouter(n_prior=n).fit(problem.train) for n in (0.0, 50.0))
    assert (cold.moment_ == 0).all() and (cold.precision_ == np.eye(6)).all()
    # The constant's own entry counts the calls.
    np.testing.assert_allclose(warm.precision_[:, -1, -1], 51.0)
    mean = problem.train.outcomes.quality.mean(axis=0)
    np.testing.assert_allclose(warm.moment_[:, -1], 50 * mean)


def test_projection_has_unit_mean_square_and_handles_few_or_flat_features():
    train = make_problem().train
    x = LinUcbRouter(n_dim=2).fit(train).context(train.requests)
    assert x.shape == (150, 3) and np.square(x[:, :2]).sum(axis=1).mean() == pytest.approx(1.0)
    flat = train.requests.with_(features=np.zeros_like(train.requests.features))
    same = type(train)(flat, train.outcomes, train.tau_s)
    assert LinUcbRouter().fit(same).context(flat).shape == (150, 1)


def test_it_learns_what_training_did_not_know():
    problem = make_problem(n_test=800)
    truth = problem.truth
    best = np.full_like(truth.quality, 0.1)
    best[:, 2] = 0.9
    truth = type(truth)(best, truth.cost_usd, truth.latency_s, truth.late, truth.cues)
    for make in (LinUcbRouter, PacedBanditRouter):
        router = stack([make(alpha=0.1).fit(problem.train)])
        n = len(problem.requests)
        runs = Runs(np.arange(n)[None, :], problem.requests.arrival_s, (1,))
        off = Pacer(np.array([np.inf]), np.array([np.inf]), n)
        played = play_runs(router, problem.requests, truth, runs, FeedbackPlan(3, 0.2), off)
        assert played.quality[0, 400:].mean() > 0.85 > played.quality[0, :50].mean()
