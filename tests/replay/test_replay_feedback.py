"""When feedback is told: never before it is due, never lost, never twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.rng import generator, keyed_uniform, keys_of, seed_for
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.combined import parse
from dacr.replay.stepped import play_runs
from dacr.routers.base import Learner
from dacr.types import Estimates, Feedback, Outcomes, Played, Runs
from dacr.workload.queueing import FifoQueues


class Recorder(Learner):
    """Chooses by a keyed draw and writes down what it is told, and after how many decisions."""

    name = "recorder"

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


class Imitator(Learner):
    """Takes the model that the last rating was about if it was good, else the next one."""

    name = "imitator"

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


class Calendar:
    """When things are told, walked position by position: the rules in words, without a search or an array."""

    def __init__(self, arrival_s: np.ndarray) -> None:
        self.arrival_s, self.n = arrival_s, len(arrival_s)

    def first_arrival(self, moment: float, after: int) -> int:
        """Return the first decision after ``after`` whose request arrives at or after a moment, else n."""
        return next((t for t in range(after + 1, self.n) if self.arrival_s[t] >= moment), self.n)

    def rating(self, t: int, latency: float, delay: int, delay_s: float | None) -> int:
        """Return before which decision the rating of decision t is told."""
        due = t + 1 + delay
        if delay_s is not None:
            due = max(due, self.first_arrival(self.arrival_s[t] + latency + delay_s, t))
        return min(due, self.n)


PROTOCOLS = ["", "delayed:by=4", "degrade:model=m1,at=0.3,factor=0.5", "sparse:share=0.5", "late_joiner:model=m0",
             "poisoned:share=0.5,delayed:by=2,price_change:model=m2,at=0.5"]  # fmt: skip


@given(
    n=st.integers(1, 25),
    delay=st.integers(0, 12),
    delay_s=st.sampled_from([None, 0.0, 0.5, 3.0, 100.0]),
    replicas=st.sampled_from([None, 1, 2]),
    protocol=st.sampled_from(PROTOCOLS),
    depends=st.sampled_from(["none", "quality", "quality_reversed"]),
    budget=st.sampled_from([np.inf, 0.4]),
    share=st.sampled_from([np.inf, 0.3]),
    ties=st.booleans(),
    seed=st.integers(0, 30),
)
@settings(deadline=None, max_examples=150)
def test_nothing_is_told_early_twice_or_never(
    n, delay, delay_s, replicas, protocol, depends, budget, share, ties, seed
) -> None:
    """Under delays by decisions and by seconds, queues, budgets, protocols: each end once, no rating early or lost."""
    requests, truth = world(n, seed=seed)
    if ties:  # bursts: several requests at one moment
        requests = requests.with_(arrival_s=np.floor(requests.arrival_s))
    order = np.stack([generator("order", seed, k).permutation(n) for k in range(2)])
    runs = Runs(order, requests.arrival_s, (0, 1))
    effects = parse(protocol).effects(n, requests.models, seed)
    router = Recorder()
    plan = FeedbackPlan(delay, 0.3, delay_s, depends)
    pacer = Pacer(np.full(2, budget), np.full(2, share), n)
    queues = None if replicas is None else FifoQueues(2, np.full(3, replicas))
    played = play_runs(router, requests, truth, runs, plan, pacer, queues=queues, tau_s=2.0, effects=effects)
    calendar = Calendar(requests.arrival_s)

    ends = {(run, t): rest for run, t, *rest in router.ends}
    assert len(ends) == len(router.ends) == 2 * n, "the end of every call, once"
    for (run, t), (decided, cost, late) in ends.items():
        finish = requests.arrival_s[t] + played.latency_s[run, t]
        assert decided == calendar.first_arrival(finish, t)
        assert cost == played.cost_usd[run, t]
        assert late == float(played.latency_s[run, t] > 2.0)

    ratings = {(run, t): rest for run, t, *rest in router.ratings}
    assert len(ratings) == len(router.ratings), "no rating twice"
    further = np.zeros(n, dtype=int) if effects.delay is None else effects.delay
    flip = np.zeros(n, dtype=bool) if effects.flip is None else effects.flip
    missing_seed = [seed_for("missing feedback", k) for k in (0, 1)]
    for run in range(2):
        draw = plan.draws(requests.key[order[run]], np.uint64(missing_seed[run]))
        for t in range(n):
            quality = played.quality[run, t]
            gone = float(plan.p_missing(np.array([quality]))[0])
            lost = 0.0 if effects.p_miss is None else float(effects.p_miss[t])
            comes = draw[t] >= 1 - (1 - gone) * (1 - lost)
            assert ((run, t) in ratings) == comes, "a rating is lost, or comes though it is missing"
            if comes:
                decided, told = ratings[run, t]
                assert decided == calendar.rating(t, played.latency_s[run, t], delay + further[t], delay_s)
                assert told == pytest.approx(1 - quality if flip[t] else quality)


@given(
    replicas=st.sampled_from([None, 1]),
    protocol=st.sampled_from(PROTOCOLS[:3:2]),
    budget=st.sampled_from([np.inf, 0.4]),
)
@settings(deadline=None, max_examples=12)
def test_delay_0_learns_after_each_decision_whatever_else_happens(replicas, protocol, budget) -> None:
    """A rating is due before the next decision though its call may still be out: delay counts decisions."""
    requests, truth = world(14)
    truth = Outcomes(truth.quality * 0.4, truth.cost_usd, truth.latency_s * 50, truth.late)
    runs = Runs(np.arange(14)[None, :], requests.arrival_s, (1,))
    effects = parse(protocol).effects(14, requests.models, 0)
    queues = None if replicas is None else FifoQueues(1, np.ones(3, dtype=np.int64))
    router = Recorder()
    pacer = Pacer(np.array([budget]), np.array([np.inf]), 14)
    play_runs(router, requests, truth, runs, FeedbackPlan(0, 0.0), pacer, queues=queues, tau_s=2.0, effects=effects)
    assert sorted((t, decided) for _, t, decided, _ in router.ratings) == [(t, t + 1) for t in range(14)]
