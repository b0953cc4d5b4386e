from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.workload.queueing import FifoQueues, replicas_for


def brute_force(arrival_s, service_s, replicas):
    """One queue, event by event, with a heap of the times at which replicas become free."""
    free = [0.0] * replicas
    waits = []
    for arrival, service in zip(arrival_s, service_s, strict=True):
        earliest = heapq.heappop(free)
        begin = max(arrival, earliest)
        waits.append(begin - arrival)
        heapq.heappush(free, begin + service)
    return np.array(waits)


def erlang_c_wait(rate, service_rate, servers):
    """Mean wait in M/M/c (Kleinrock 1975)."""
    load = rate / service_rate
    top = load**servers / math.factorial(servers) * servers / (servers - load)
    p_wait = top / (sum(load**k / math.factorial(k) for k in range(servers)) + top)
    return p_wait / (servers * service_rate - rate)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 10), st.integers(0, 1)), min_size=1, max_size=40),
    st.integers(1, 3),
    st.integers(1, 3),
)
@settings(deadline=None, max_examples=80)
def test_waits_equal_a_brute_force_simulation(calls, first, second):
    arrival = np.cumsum([gap for gap, _, _ in calls])
    service = np.array([length for _, length, _ in calls])
    model = np.array([which for _, _, which in calls])
    queues = FifoQueues(1, [first, second])
    zero = np.array([0])
    found = np.array([
        queues.start(zero, model[i : i + 1], arrival[i : i + 1], service[i : i + 1])[0] for i in range(len(calls))
    ])  # fmt: skip
    for which, replicas in enumerate((first, second)):
        mine = model == which
        np.testing.assert_allclose(found[mine], brute_force(arrival[mine], service[mine], replicas), atol=1e-9)


@pytest.mark.parametrize(("rate", "service_rate", "servers"), [(0.5, 1.0, 1), (0.8, 1.0, 1), (2.4, 1.0, 3)])
def test_mean_wait_agrees_with_queueing_theory(rate, service_rate, servers):
    n_runs, n = 400, 1500
    draws = generator("queue test", rate, servers)
    arrival = np.cumsum(draws.exponential(1 / rate, (n, n_runs)), axis=0)
    service = draws.exponential(1 / service_rate, (n, n_runs))
    queues, runs = FifoQueues(n_runs, [servers]), np.arange(n_runs)
    model = np.zeros(n_runs, dtype=np.int64)
    waits = np.array([queues.start(runs, model, arrival[t], service[t]) for t in range(n)])
    expected = erlang_c_wait(rate, service_rate, servers)
    if servers == 1:
        assert expected == pytest.approx(rate / service_rate / (service_rate - rate))
    assert waits[500:].mean() == pytest.approx(expected, rel=0.05)


def test_runs_do_not_touch_each_other():
    queues = FifoQueues(3, [1, 2])
    runs = np.arange(3)
    first = queues.start(runs, np.array([0, 0, 1]), np.zeros(3), np.array([4.0, 1.0, 9.0]))
    second = queues.start(runs, np.array([0, 1, 1]), np.ones(3), np.ones(3))
    assert first.tolist() == [0, 0, 0] and second.tolist() == [3, 0, 0]
    third = queues.start(runs, np.array([0, 0, 1]), np.full(3, 1.5), np.ones(3))
    assert third.tolist() == [3.5, 0, 0.5]


def test_everything_to_one_model_makes_it_late():
    queues, one = FifoQueues(1, [2, 2]), np.array([0])
    alone = [queues.start(one, one, np.array([t / 3]), np.array([2.0]))[0] for t in range(60)]
    spread = FifoQueues(1, [3, 3])
    shared = [spread.start(one, np.array([t % 2]), np.array([t / 3]), np.array([2.0]))[0] for t in range(60)]
    assert alone[-1] > 35 and max(shared) < 1e-9


def test_bad_calls_and_flags():
    queues, two = FifoQueues(2, [1]), np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="stands twice"):
        queues.start(two, two, np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        queues.start(np.arange(2), two, np.array([0, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        queues.start(np.arange(2), two, np.zeros(2), -np.ones(2))
    with pytest.raises(UserError, match="--replicas"):
        FifoQueues(1, [0])
    for text in ("0", "a=1", "a=1,b=x", "a=1,b=2,c=3", "1.5", ""):
        with pytest.raises(UserError, match="--replicas"):
            replicas_for(text, ["a", "b"])
