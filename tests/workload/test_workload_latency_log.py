from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.workload.latency_log import read_latency_log
from dacr.workload.simulate import latency_lines

MODELS = ("cheap", "mid", "strong")


def line(qid, model, latency_s=1.0, ok=True, **more):
    return {"qid": qid, "model": model, "latency_s": latency_s, "ok": ok, **more}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def gaps(tmp_path):
    """Three queries; b lacks strong, c's call of mid failed. Medians of the columns: 2, 20, 200."""
    rows = [line("a", "cheap", 2.0), line("a", "mid", 20.0), line("a", "strong", 100.0)]
    rows += [line("b", "cheap", 4.0), line("b", "mid", 20.0)]
    rows += [line("c", "cheap", 1.0), line("c", "mid", 0.0, ok=False), line("c", "strong", 300.0)]
    return write(tmp_path / "log.jsonl", rows)


def test_whole_logs_come_in_order_of_arrival(tmp_path):
    rows = [
        line(qid, model, i + j, arrival_s=9.0 - i) for i, qid in enumerate("ba", 1) for j, model in enumerate(MODELS)
    ]
    log = read_latency_log(write(tmp_path / "log.jsonl", rows[::-1]), MODELS)
    assert log.qid.tolist() == ["a", "b"] and log.arrival_s.tolist() == [7.0, 8.0]
    assert log.latency_s.tolist() == [[2, 3, 4], [1, 2, 3]]
    assert log.coverage == 1.0 and log.recorded.all() and (log.n_failed, log.n_dropped, log.n_imputed) == (0, 0, 0)


def test_gaps_are_an_error_that_gives_the_coverage_and_the_way_on(gaps):
    with pytest.raises(UserError) as caught:
        read_latency_log(gaps, MODELS)
    for part in (
        "77.7 %",
        "2 of 3 queries",
        "'b' lacks ['strong']",
        "1 calls failed",
        "--missing_latency drop",
        "impute",
    ):
        assert part in str(caught.value)


def test_gaps_drop(gaps):
    log = read_latency_log(gaps, MODELS, missing="drop")
    assert log.qid.tolist() == ["a"] and log.n_dropped == 2 and log.n_failed == 1
    assert log.coverage == pytest.approx(7 / 9) and np.isnan(log.arrival_s).all()


def test_gaps_are_imputed_by_model_and_by_how_slow_the_query_was(gaps):
    log = read_latency_log(gaps, MODELS, missing="impute")
    # b: cheap 4 / 2, mid 20 / 20: median factor 1.5; c: cheap 1 / 2, strong 300 / 200: median factor 1
    np.testing.assert_allclose(log.latency_s, [[2, 20, 100], [4, 20, 300], [1, 20, 300]])
    assert log.n_imputed == 2 and log.recorded.sum() == 7


def test_a_query_whose_calls_all_failed_and_a_model_that_was_never_called(tmp_path):
    rows = [line("a", name, 3.0) for name in MODELS] + [line("b", name, None, ok=False) for name in MODELS]
    log = read_latency_log(write(tmp_path / "log.jsonl", rows), MODELS, missing="impute")
    assert log.latency_s.tolist() == [[3, 3, 3], [3, 3, 3]]
    rows = [line(qid, "cheap") for qid in "ab"]
    with pytest.raises(UserError, match=r"no latency at all of \['mid', 'strong'\]"):
        read_latency_log(write(tmp_path / "log.jsonl", rows), MODELS, missing="impute")
    with pytest.raises(UserError, match="drop leaves none"):
        read_latency_log(write(tmp_path / "log.jsonl", rows), MODELS, missing="drop")


def test_failed_latencies_are_never_read(tmp_path):
    rows = [line("a", name, 3.0) for name in MODELS[:2]] + [line("a", "strong", 7.0, ok=False)]
    with pytest.raises(UserError, match=r"coverage is 66\.6 %"):
        read_latency_log(write(tmp_path / "log.jsonl", rows), MODELS)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (line("b", "mid", 0.0), "line 3 .*above 0; got qid 'b', model 'mid'"),
        (line("b", "mid", -1.0), "line 3 .*above 0"),
        (line("b", "mid", float("nan")), "line 3 .*above 0"),
        (line("b", "mid", float("inf")), "line 3 .*above 0"),
        (line("b", "mid", None), "line 3 .*above 0"),
        (line("b", "mid", "fast"), "line 3 .*above 0"),
        (line("b", "mid", 1, ok="yes"), "line 3 .*ok must be true or false"),
        (line("b", "mid", 1, ok=1), "line 3 .*ok must be true or false"),
        ({"qid": "b", "model": "mid", "latency_s": 1.0}, "line 3 .*ok must be true or false"),
        (line(7, "mid"), "line 3 .*qid must be a string"),
        (line("", "mid"), "line 3 .*qid must be a string"),
        (line("b", "midd"), r"the table has no model 'midd'; did you mean 'mid'\?"),
        (line("a", "mid"), r"line 3 .*stands already"),
        (line("b", "mid", arrival_s=-1.0), "line 3 .*arrival_s"),
        (["b"], "line 3"),
    ],
)
def test_bad_lines_are_named(tmp_path, bad, says):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(line("a", "mid")) + "\n\n" + json.dumps(bad) + "\n")
    with pytest.raises(UserError, match=says):
        read_latency_log(path, MODELS, missing="impute")


def test_bad_files(tmp_path):
    path = tmp_path / "log.jsonl"
    with pytest.raises(UserError, match=r"simulate_latency\.py first"):
        read_latency_log(path, MODELS)
    for text, says in (("", "holds no lines"), ('{"qid": "a", "mod', "line 1: not JSON"), ("\x00\x01", "line 1")):
        path.write_text(text)
        with pytest.raises(UserError, match=says):
            read_latency_log(path, MODELS)


def test_ids_that_look_like_dates_or_numbers_stay_strings(tmp_path):
    rows = [line(qid, name, 2, extra={"x": 1}) for qid in ("2023-01-01", "12") for name in MODELS]
    assert read_latency_log(write(tmp_path / "log.jsonl", rows), MODELS).qid.tolist() == ["2023-01-01", "12"]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=6, unique=True),
    st.lists(st.floats(1e-5, 1e6), min_size=12, max_size=12),
)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read(tmp_path_factory, ids, values):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    latency_s = np.resize(np.array(values), (len(ids), 2))
    arrival_s = np.arange(len(ids)) / 3
    models = ('a "quoted" name', "b/ü")
    path.write_bytes(
        latency_lines(np.array(ids, dtype=object), models, latency_s, np.ones(latency_s.shape, bool), arrival_s)
    )
    log = read_latency_log(path, models)
    assert log.qid.tolist() == ids and log.arrival_s.tolist() == arrival_s.tolist()
    np.testing.assert_array_equal(log.latency_s, latency_s)
