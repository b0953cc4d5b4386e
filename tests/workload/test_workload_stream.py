from __future__ import annotations

import json

import numpy as np
import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.data import splits
from dacr.data.table import load
from dacr.workload.stream import build_stream, read_stream


@pytest.fixture
def table(tiny_long, tmp_path):
    path = tmp_path / "long.parquet"
    tiny_long.to_parquet(path)
    return path


def lines(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_the_stream_holds_the_test_split_in_the_experiments_order(table, tmp_path, capsys):
    out = tmp_path / "stream.jsonl"
    build_stream(data=table, ood_holdout=("mbpp", "mmlu"), out=out, start=1000.0, time_warp=200.0, seed=4)
    rows = lines(out)
    long = load(table)
    part = splits.split_queries(list(long.qid), list(long.domain), ("mbpp", "mmlu"))
    order = splits.shuffled(list(long.qid), part.test, 4)
    assert [row["qid"] for row in rows] == long.qid[order].tolist()
    assert [row["prompt"] for row in rows] == long.prompt[order].tolist()
    assert {row["domain"] for row in rows} == {"mbpp", "mmlu-law"}
    assert all(list(row) == ["arrival_s", "ts", "qid", "domain", "prompt", "lat_mult"] for row in rows)
    assert rows[0]["arrival_s"] == 0 and rows[0]["ts"] == 1000.0
    for row in rows:
        assert row["ts"] == pytest.approx(1000 + row["arrival_s"] / 200, abs=1e-6) and row["lat_mult"] >= 1
    assert "4 of the 4 queries of split 'test'" in capsys.readouterr().out
    about = json.loads((tmp_path / "stream.manifest.json").read_text())
    assert about["n_query"] == about["n_split"] == 4 and about["config"]["seed"] == 4


def test_splits_are_disjoint_and_max_queries_takes_the_first(table, tmp_path):
    found = {}
    for split in ("test", "train", "all"):
        build_stream(data=table, split=split, ood_holdout=("mbpp",), out=tmp_path / f"{split}.jsonl", max_queries=0)
        found[split] = [row["qid"] for row in lines(tmp_path / f"{split}.jsonl")]
    assert sorted(found["test"] + found["train"]) == sorted(found["all"]) == [f"q{i}" for i in range(6)]
    build_stream(data=table, split="all", out=tmp_path / "two.jsonl", max_queries=2)
    assert [row["qid"] for row in lines(tmp_path / "two.jsonl")] == found["all"][:2]


def test_same_command_same_bytes(table, tmp_path):
    for name in ("a", "b"):
        build_stream(data=table, out=tmp_path / f"{name}.jsonl", split="all", burst="20@30,2@60", start=5.0)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_a_read_stream_is_what_was_written(table, tmp_path):
    out = tmp_path / "stream.jsonl"
    build_stream(data=table, split="all", out=out)
    stream, rows = read_stream(out), lines(out)
    assert len(stream) == 6 and stream.qid.tolist() == [row["qid"] for row in rows]
    for name in ("arrival_s", "ts", "lat_mult"):
        assert getattr(stream, name).tolist() == [row[name] for row in rows]


def test_a_faster_stream_has_a_higher_load(table, tmp_path):
    median = {}
    for flags in ({"rate_qps": 3.0}, {"rate_qps": 30.0}, {"burst": "6@10"}, {"rate_qps": 6.0, "reference_qps": 6.0}):
        build_stream(data=table, split="all", out=tmp_path / "s.jsonl", load_window=1e9, **flags)
        median[str(flags)] = float(np.median(read_stream(tmp_path / "s.jsonl").lat_mult))
    slow, fast, burst, large = median.values()
    assert slow == pytest.approx(1 / 0.7, abs=1e-5) and fast == 5.0, "at ten times the rate the capacity is used up"
    assert burst == pytest.approx(1 / 0.4, abs=1e-5) and large == slow


def test_a_byte_order_mark_before_a_stream_is_no_text(table, tmp_path):
    out = tmp_path / "stream.jsonl"
    build_stream(data=table, split="all", out=out)
    plain = read_stream(out)
    out.write_bytes(b"\xef\xbb\xbf" + out.read_bytes())
    assert read_stream(out).qid.tolist() == plain.qid.tolist()


def test_real_traces_and_their_rescaling(table, tmp_path, shared_data):
    trace, out = shared_data / "azure_llm_2023_code.csv", tmp_path / "stream.jsonl"
    build_stream(data=table, split="all", out=out, trace=trace)
    assert read_stream(out).arrival_s[1] == pytest.approx(0.052, abs=1e-6)
    build_stream(data=table, split="all", out=out, trace=trace, trace_rescale=True, rate_qps=2.0)
    assert read_stream(out).arrival_s[-1] == pytest.approx(5 / 2.0, abs=1e-6)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"start": float("nan")}, "--start"),
        ({"ood_holdout": ("mbbp",)}, "the nearest is 'mbpp'"),
        ({"burst": "2@3", "trace": "x.csv"}, "give one of them"),
        ({"trace_rescale": True}, "needs --trace"),
        ({"data": "nothing.parquet"}, "no such file"),
    ],
)
def test_bad_settings_leave_nothing_behind(table, tmp_path, setting, says):
    out = tmp_path / "stream.jsonl"
    with pytest.raises(UserError, match=says):
        build_stream(**{"data": table, "out": out} | setting)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.parquet"]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        *(("--rate_qps", value, "a number above 0") for value in ("0", "-1", "nan", "inf")),
        ("--time_warp", "0", "a number above 0"),
        ("--reference_qps", "-3", "a number above 0"),
        ("--max_queries", "-1", "a whole number of at least 0"),
    ],
)
def test_numbers_out_of_range_leave_nothing_behind(table, tmp_path, capsys, flag, value, expected):
    assert cli.run(build_stream, ["--data", str(table), "--out", str(tmp_path / "x.jsonl"), f"{flag}={value}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag}: expected {expected}, got '{value}'")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.parquet"]


def test_outputs_never_replace_inputs_or_folders(table, tmp_path):
    before = table.read_bytes()
    with pytest.raises(UserError, match="is an input"):
        build_stream(data=table, out=table)
    with pytest.raises(UserError, match="is a folder"):
        build_stream(data=table, out=tmp_path)
    assert table.read_bytes() == before


GOOD = {"arrival_s": 1.0, "ts": 2.0, "qid": "a", "domain": "d", "prompt": "p", "lat_mult": 1.0}


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"qid": "b", "arrival_s": 0.5}, "line 3: arrival_s 0.5 comes before 1"),
        ({}, "line 3: qid 'a' stands already in line 1"),
        ({"qid": "b", "lat_mult": 0.9}, "line 3: lat_mult must be a number of at least 1"),
        ({"qid": "b", "arrival_s": "2"}, "line 3: arrival_s must be a number"),
        ({"qid": "b", "arrival_s": True}, "line 3: arrival_s must be a number"),
        ({"qid": "b", "arrival_s": float("nan")}, "line 3: arrival_s must be a number"),
        ({"qid": 7}, "line 3: qid must be a string"),
        ({"qid": ""}, "line 3: qid must be a string"),
        ({"qid": "b", "prompt": None}, "line 3: prompt must be a string"),
    ],
)
def test_bad_lines_are_named(tmp_path, second, says):
    path = tmp_path / "stream.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | second) + "\n")
    with pytest.raises(UserError, match=says):
        read_stream(path)


def test_other_bad_files(tmp_path):
    path = tmp_path / "stream.jsonl"
    with pytest.raises(UserError, match=r"run python scripts/build_stream\.py first"):
        read_stream(path)
    path.write_text("")
    with pytest.raises(UserError, match="holds no lines"):
        read_stream(path)
    path.write_text(json.dumps(GOOD)[:-5])
    with pytest.raises(UserError, match="line 1: not JSON"):
        read_stream(path)
    path.write_text(json.dumps({key: GOOD[key] for key in ("qid", "ts")}))
    with pytest.raises(UserError, match=r"line 1: fields .*arrival_s"):
        read_stream(path)


def test_the_command(table, tmp_path, script, stage):
    out = tmp_path / "stream.jsonl"
    flags = ["--data", table, "--split", "test", "--ood_holdout", "mbpp,mmlu-law", "--out", out]
    flags += ["--rate_qps", 3, "--max_queries", 3, "--time_warp", 200, "--start", 0]
    done = script("build_stream.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "3 of the 4 queries" in done.stdout
    bad = stage("build_stream.py", "--data", table, "--out", tmp_path / "x.jsonl", "--burst", "3")
    assert bad.returncode == 2 and bad.stdout == "" and len(bad.stderr.splitlines()) == 1
    assert not (tmp_path / "x.jsonl").exists()
    np.testing.assert_array_equal(read_stream(out).arrival_s[0], 0.0)
