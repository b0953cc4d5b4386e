"""When feedback is told: never before it is due, never lost, never twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.budget import Pacer
from dacr.replay import FeedbackPlan, Played, Runs, play_runs
from dacr.rng import generator, keyed_uniform, keys_of
from dacr.routers.base import Router
from dacr.types import Estimates, Feedback, Outcomes


class Recorder(Router):
    """Chooses by a keyed draw and writes down what it is told, and after how many decisions."""

    name = "recorder"
    learns = True

    def start(self, n_run, n_domain, seeds):
        self.decided = 0
        self.ratings: list[tuple[int, int, int, float]] = []
        self.ends: list[tuple[int, int, int, float, float]] = []
        self.all: list[tuple[int, int, int]] = []
        self.news: list[Feedback] = []

    def scores(self, requests):
        return keyed_uniform(requests.key, len(requests.models), 3)

    def decide(self, requests, terms=None):
        choice = super().decide(requests, terms)
        self.decided += 1
        return choice

    def observe(self, feedback):
        self.news.append(feedback)
        for i in range(len(feedback)):
            run, t = int(feedback.run[i]), int(feedback.t[i])
            if feedback.all_outcomes is not None:
                self.all.append((run, t, self.decided))
            if np.isfinite(feedback.quality[i]):
                self.ratings.append((run, t, self.decided, float(feedback.quality[i])))
            if np.isfinite(feedback.cost_usd[i]):
                self.ends.append((run, t, self.decided, float(feedback.cost_usd[i]), float(feedback.late[i])))


def world(n: int, n_model: int = 3, seed: int = 0) -> tuple[Estimates, Outcomes]:
    rng = generator("replay world", seed)
    half = np.full((n, n_model), 0.5)
    latency = rng.exponential(2.0, (n, n_model))
    requests = Estimates(
        key=keys_of(f"q{i}" for i in range(n)),
        features=np.zeros((n, 1), dtype=np.float32),
        domain=np.zeros(n, dtype=np.int64),
        p_raw=half,
        p=half,
        cost_hat=half,
        cost_upper=half,
        p_late=half,
        arrival_s=np.cumsum(rng.exponential(0.7, n)),
        models=tuple(f"m{i}" for i in range(n_model)),
        domains=("a",),
    )
    return requests, Outcomes(rng.random((n, n_model)), rng.random((n, n_model)) + 0.1, latency, latency > 2.0)


def play(
    n: int, delay: int, p_miss: float, orders: int = 2, seed: int = 0, tell_all: bool = False
) -> tuple[Recorder, Played, Runs, Estimates, Outcomes]:
    requests, truth = world(n, seed=seed)
    order = np.stack([generator("order", seed, k).permutation(n) for k in range(orders)])
    runs = Runs(order, requests.arrival_s, tuple(range(orders)))
    router = Recorder()
    off = np.full(orders, np.inf)
    plan = FeedbackPlan(delay, p_miss)
    played = play_runs(router, requests, truth, runs, plan, Pacer(off, off, n), tell_all=tell_all)
    return router, played, runs, requests, truth


worlds = {"n": st.integers(1, 25), "delay": st.integers(0, 30), "seed": st.integers(0, 50)}


@given(**worlds)
@settings(deadline=None, max_examples=60)
def test_every_rating_is_told_once_exactly_when_it_is_due(n: int, delay: int, seed: int) -> None:
    router, played, runs, _, truth = play(n, delay, 0.0, seed=seed)
    told = [(run, t) for run, t, _, _ in router.ratings]
    assert sorted(told) == [(run, t) for run in range(2) for t in range(n)]
    for run, t, decided, quality in router.ratings:
        # Just before decision t + 1 + delay; what is still due at the end of the stream, then.
        assert decided == min(t + 1 + delay, n)
        assert quality == truth.quality[runs.order[run, t], played.model[run, t]]
    for run in range(2):
        order = [t for r, t in told if r == run]
        assert order == sorted(order)


@given(**worlds)
@settings(deadline=None, max_examples=60)
def test_every_end_of_a_call_is_told_once_when_it_is_over(n: int, delay: int, seed: int) -> None:
    router, played, runs, _, truth = play(n, delay, 0.5, seed=seed)
    assert sorted((run, t) for run, t, *_ in router.ends) == [(run, t) for run in range(2) for t in range(n)]
    for run, t, decided, cost, late in router.ends:
        cell = (runs.order[run, t], played.model[run, t])
        finish = runs.arrival_s[t] + truth.latency_s[cell]
        assert decided > t
        if decided < n:
            assert runs.arrival_s[decided] >= finish, "told before the call ended"
        if decided - 1 > t:
            assert runs.arrival_s[decided - 1] < finish, "told later than the next decision after its end"
        assert (cost, late) == (truth.cost_usd[cell], float(truth.late[cell]))


@given(st.integers(0, 20), st.sampled_from([0.3, 0.7, 1.0]))
@settings(deadline=None, max_examples=10)
def test_which_ratings_are_missing_belongs_to_request_and_seed(delay: int, p_miss: float) -> None:
    requests, truth = world(60)
    order = np.stack([np.arange(60), np.arange(60)[::-1], np.arange(60)])
    router, off = Recorder(), np.full(3, np.inf)
    runs = Runs(order, requests.arrival_s, (1, 1, 2))
    play_runs(router, requests, truth, runs, FeedbackPlan(delay, p_miss), Pacer(off, off, 60))
    told = [{int(order[run, t]) for r, t, *_ in router.ratings if r == run} for run in range(3)]
    assert sum(map(len, told)) == len(router.ratings)
    assert told[0] == told[1]  # whatever the order
    if p_miss == 1.0:
        assert not router.ratings
    else:
        assert told[0] != told[2] and abs(len(router.ratings) / 180 - (1 - p_miss)) < 0.15


def test_full_information_comes_before_the_next_decision_and_nothing_else_does() -> None:
    router, _, _, _, truth = play(20, 7, 0.9, tell_all=True)
    assert sorted(router.all) == [(run, t, t + 1) for run in range(2) for t in range(20)]
    assert not router.ratings and not router.ends
    assert all(news.all_outcomes.quality.shape[1] == truth.quality.shape[1] for news in router.news)


def test_feedback_is_about_the_request_as_it_was_decided() -> None:
    router, played, runs, requests, _ = play(15, 2, 0.0)
    for news in router.news:
        row = runs.order[news.run, news.t]
        assert (news.requests.key == requests.key[row]).all()
        assert (news.model == played.model[news.run, news.t]).all()
        assert (news.propensity == played.propensity[news.run, news.t]).all()


class Imitator(Router):
    """Takes the model that the last rating was about if it was good, else the next one."""

    name = "imitator"
    learns = True

    def start(self, n_run, n_domain, seeds):
        self.next = np.zeros(n_run, dtype=np.int64)

    def scores(self, requests):
        return np.eye(len(requests.models))[self.next]

    def observe(self, feedback):
        rated = np.isfinite(feedback.quality)
        good = feedback.quality[rated] >= 0.5
        self.next[feedback.run[rated]] = np.where(good, feedback.model[rated], (feedback.model[rated] + 1) % 3)


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_delay_0_learns_before_the_next_decision(delay: int) -> None:
    """No answer is good: the model moves on by one with every rating, so its index counts ratings."""
    requests, truth = world(12)
    truth = Outcomes(truth.quality * 0.4, truth.cost_usd, truth.latency_s, truth.late)
    runs = Runs(np.arange(12)[None, :], requests.arrival_s, (1,))
    off = np.array([np.inf])
    played = play_runs(Imitator(), requests, truth, runs, FeedbackPlan(delay, 0.0), Pacer(off, off, 12))
    expected = [0] * (delay + 1)
    while len(expected) < 12:
        expected.append((expected[len(expected) - 1 - delay] + 1) % 3)
    assert played.model[0].tolist() == expected
