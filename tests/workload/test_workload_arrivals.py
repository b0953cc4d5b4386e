from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from dacr.core.errors import UserError
from dacr.workload import arrivals
from dacr.workload.arrivals import load_multiplier


def test_poisson_gaps_are_exponential_with_mean_one_over_the_rate():
    gaps = np.diff(arrivals.poisson(20_000, 3.0, seed=1))
    assert gaps.mean() == pytest.approx(1 / 3, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 3, rel=0.03)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 3)).pvalue > 0.05
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.02


def test_the_seed_names_the_arrivals_and_the_rate_only_stretches_them():
    np.testing.assert_array_equal(arrivals.poisson(50, 3.0, 1), arrivals.poisson(50, 3.0, 1))
    assert (arrivals.poisson(50, 3.0, 1)[1:] != arrivals.poisson(50, 3.0, 2)[1:]).all()
    np.testing.assert_allclose(arrivals.poisson(50, 3.0, 1), 2 * arrivals.poisson(50, 6.0, 1))
    np.testing.assert_array_equal(arrivals.poisson(50, 3.0, 1)[:20], arrivals.poisson(20, 3.0, 1))


def test_each_piece_of_a_burst_has_its_own_rate_in_every_cycle():
    pieces = arrivals.parse_bursts("20@30, 2@60")
    times = arrivals.bursts(30_000, pieces, seed=3)
    assert (np.diff(times) >= 0).all()
    whole = times[times < np.floor(times[-1] / 90) * 90]
    place, cycles = whole % 90, np.floor(times[-1] / 90)
    assert (place < 30).sum() / (30 * cycles) == pytest.approx(20, rel=0.03)
    assert (place >= 30).sum() / (60 * cycles) == pytest.approx(2, rel=0.06)
    in_burst = np.diff(whole[(whole // 90 == 0) & (place < 30)])
    assert stats.kstest(in_burst, "expon", args=(0, 1 / 20)).pvalue > 0.05


def test_a_constant_burst_is_a_poisson_process():
    np.testing.assert_allclose(arrivals.bursts(500, [(3.0, 7.0)], 5), arrivals.poisson(500, 3.0, 5), atol=1e-9)


def test_nothing_arrives_in_a_pause():
    times = arrivals.bursts(2000, arrivals.parse_bursts("0@10,5@10,0@5"), seed=1)
    place = times % 25
    assert ((place >= 10 - 1e-9) & (place <= 20 + 1e-9)).all()
    assert times[0] == 10.0


@pytest.mark.parametrize("text", ["20", "20@", "a@b", "-1@3", "3@0", "0@3", "nan@3", "3@inf", ","])
def test_bad_bursts_name_the_form(text):
    with pytest.raises(UserError, match="20@30,2@60"):
        arrivals.parse_bursts(text)


@given(
    st.lists(st.floats(0, 1000).map(lambda t: round(t, 6)), min_size=2, max_size=8).filter(
        lambda t: max(t) > min(t) + 1e-3
    ),
    st.integers(1, 40),
    st.floats(0.1, 50),
)
@settings(deadline=None, max_examples=50)
def test_a_trace_keeps_its_gaps_cycles_and_rescales(recorded, n, rate):
    recorded = np.sort(recorded) - min(recorded)
    times = arrivals.trace(n, recorded)
    assert len(times) == n and times[0] == 0 and (np.diff(times) >= -1e-9).all()
    first = min(n, len(recorded))
    np.testing.assert_allclose(times[:first], recorded[:first], atol=1e-9)
    np.testing.assert_allclose(
        np.diff(times[len(recorded) :])[: first - 1], np.diff(recorded)[: max(n - len(recorded) - 1, 0)], atol=1e-9
    )
    stretched = arrivals.trace(n, recorded, rate)
    if times[-1] > 0:
        assert (n - 1) / stretched[-1] == pytest.approx(rate)
        np.testing.assert_allclose(stretched / stretched[-1], times / times[-1])


@pytest.mark.parametrize(("name", "n"), [("code", 8819), ("conv", 19366)])
def test_real_traces_are_replayed(shared_data, name, n):
    recorded = arrivals.read_trace(shared_data / f"azure_llm_2023_{name}.csv")
    assert len(recorded) == n and recorded[0] == 0 and 3400 < recorded[-1] < 3600
    np.testing.assert_allclose(arrivals.trace(1500, recorded), recorded[:1500])
    gaps = np.diff(recorded)
    assert gaps.std() / gaps.mean() > 1.05, "real arrivals are burstier than Poisson"


def test_timestamps_keep_their_last_digit(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(
        "TIMESTAMP,x\n2023-11-16 18:17:03.9799600,1\n2023-11-16 18:17:03.9799601,1\n2023-11-16 18:17:04,1\n"
    )
    np.testing.assert_allclose(arrivals.read_trace(path), [0, 1e-7, 0.02004], atol=1e-12)


def test_a_trace_may_hold_numbers_and_is_sorted(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP\n7\n5\n6.5\n")
    assert arrivals.read_trace(path).tolist() == [0, 1.5, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when\n1\n", "no column TIMESTAMP"),
        ("TIMESTAMP\n2023-01-01\nsoon\n", "line 3: 'soon'"),
        ("TIMESTAMP\n5\n", "at least two distinct times"),
        ("TIMESTAMP\n5\n5\n", "at least two distinct times"),
        ("", "not a CSV"),
    ],
)
def test_bad_traces(tmp_path, text, says):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        arrivals.read_trace(path)
    with pytest.raises(UserError, match="no such file"):
        arrivals.read_trace(tmp_path / "none.csv")


def test_load_at_the_mean_rate_and_in_a_burst():
    steady = load_multiplier(np.arange(500.0), utilisation=0.3)
    np.testing.assert_allclose(steady, 1 / 0.7, rtol=0.02)
    times = np.concatenate([np.arange(0, 100.0), 100 + np.arange(100) * 0.01, np.arange(102.0, 200)])
    burst = load_multiplier(times, utilisation=0.3, window=20, cap=3.0)
    assert burst[199] == pytest.approx(3.0) and burst[20:90].max() < 1.3
    # hand: mean rate 297 / 199; the window of 20 / mean rate = 13.4 s holds 13 arrivals of the steady part
    mean_rate = 297 / 199
    assert burst[80] == pytest.approx(1 / (1 - 0.3 * (13 / (20 / mean_rate)) / mean_rate))


@given(st.lists(st.floats(0, 1e4), min_size=0, max_size=40), st.floats(0, 0.99), st.floats(0.5, 100), st.floats(1, 20))
@example([0.0], 0.75, 1.0, 3.0)  # 1 / (1 - (1 - 1 / 3)) is a hair above 3
@settings(deadline=None, max_examples=100)
def test_load_lies_between_one_and_the_cap(times, utilisation, window, cap):
    times = np.sort(np.array(times, dtype=float))
    found = load_multiplier(times, utilisation, window, cap)
    assert found.shape == times.shape
    assert (found >= 1).all() and (found <= cap).all()


def test_load_does_not_depend_on_the_pace():
    times = arrivals.poisson(300, 1.0, 4)
    np.testing.assert_allclose(load_multiplier(times), load_multiplier(times * 1000), rtol=1e-6)
    assert (load_multiplier(times, utilisation=0) == 1).all()
