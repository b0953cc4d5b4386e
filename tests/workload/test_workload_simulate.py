from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from dacr.core.errors import UserError
from dacr.data.table import load
from dacr.data.tokens import DEFAULT_TOKENS, output_tokens, tokens_of
from dacr.workload.latency import DEFAULT_CONFIG, LatencyModel
from dacr.workload.latency_log import read_latency_log
from dacr.workload.simulate import simulate_latency, training_latency
from dacr.workload.stream import build_stream, read_stream


@pytest.fixture
def files(tiny_long, tmp_path):
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("stream", "out", "out_base")}
    paths["data"] = tmp_path / "long.parquet"
    tiny_long.to_parquet(paths["data"])
    build_stream(data=paths["data"], split="all", out=paths["stream"], start=0.0, burst="20@1,1@3")
    return paths


def test_effective_latency_is_base_times_load(files, capsys):
    simulate_latency(**files)
    models = load(files["data"]).model
    base, effective = (read_latency_log(files[name], models) for name in ("out_base", "out"))
    stream = read_stream(files["stream"])
    assert base.qid.tolist() == effective.qid.tolist() == stream.qid.tolist()
    np.testing.assert_allclose(effective.latency_s, base.latency_s * stream.lat_mult[:, None], atol=1e-6)
    np.testing.assert_array_equal(effective.arrival_s, stream.arrival_s)
    said = capsys.readouterr().out
    assert "the profile 'any' serves it" in said and "6 queries x 3 models" in said


def test_lines_have_the_shared_fields(files):
    simulate_latency(**files)
    rows = [json.loads(text) for text in files["out"].read_text().splitlines()]
    assert len(rows) == 18
    assert all(list(row) == ["qid", "model", "latency_s", "ok", "arrival_s"] and row["ok"] is True for row in rows)
    about = json.loads(files["out"].with_suffix(".manifest.json").read_text())
    assert about["profiles"] == {"cheap": "any", "mid": "any", "strong": "any"}
    assert set(about["inputs"]) == {"data", "stream", "config_latency"}


def test_without_noise_the_latency_is_the_formula(files):
    simulate_latency(**files, noise_cv=0.0, token_method="chars", chars_per_token=1.0)
    profile = LatencyModel.from_yaml().profile_of("cheap")
    base = read_latency_log(files["out_base"], load(files["data"]).model)
    # the responses of the tiny table are A, AA, AAA
    expected = profile.ttft_s + np.array([1, 2, 3]) / profile.tokens_per_s
    np.testing.assert_allclose(base.latency_s, np.tile(expected, (6, 1)), atol=1e-6)


def test_a_query_keeps_its_latency_in_another_stream(files, tmp_path):
    simulate_latency(**files)
    build_stream(data=files["data"], split="all", out=tmp_path / "other.jsonl", start=0.0, max_queries=3, seed=9)
    simulate_latency(**files | {"stream": tmp_path / "other.jsonl", "out": tmp_path / "o", "out_base": tmp_path / "b"})
    models = load(files["data"]).model
    first, second = read_latency_log(files["out_base"], models), read_latency_log(tmp_path / "b", models)
    at = [first.qid.tolist().index(qid) for qid in second.qid]
    np.testing.assert_array_equal(first.latency_s[at], second.latency_s)


def test_training_queries_go_by_the_same_code(files):
    simulate_latency(**files)
    table, model = load(files["data"]), LatencyModel.from_yaml()
    base = read_latency_log(files["out_base"], table.model)
    tokens, _ = tokens_of(table, "max", 4.0, DEFAULT_TOKENS)
    plain = training_latency(table, model, tokens, np.ones(1))
    order = [table.qid.tolist().index(qid) for qid in base.qid]
    np.testing.assert_array_equal(plain[order], base.latency_s)
    loaded = training_latency(table, model, tokens, np.array([2.0, 3.0]))
    assert set((loaded / plain).round(3).ravel()) <= {2.0, 3.0}
    some = training_latency(table.take([4, 1]), model, tokens[[4, 1]], np.array([2.0, 3.0]))
    np.testing.assert_array_equal(some, loaded[[4, 1]])


def test_both_files_or_neither(files, tmp_path):
    simulate_latency(**files)
    before = {name: files[name].read_bytes() for name in ("out", "out_base")}
    other = pd.read_parquet(files["data"])
    other[other["qid"] != "q3"].to_parquet(tmp_path / "less.parquet")
    with pytest.raises(UserError, match=r"1 of 6 queries are not in .*first qid 'q3'"):
        simulate_latency(**files | {"data": tmp_path / "less.parquet"})
    with pytest.raises(UserError, match="give each a file of its own"):
        simulate_latency(**files | {"out_base": files["out"]})
    with pytest.raises(UserError, match="is an input"):
        simulate_latency(**files | {"out": files["stream"]})
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        simulate_latency(**files | {"out_base": tmp_path / "folder", "out": tmp_path / "new.jsonl"})
    assert not (tmp_path / "new.jsonl").exists()
    assert before == {name: files[name].read_bytes() for name in ("out", "out_base")}
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_the_command_is_deterministic_whatever_the_hash_seed(files, script, stage, hash_seed):
    flags = ["--data", files["data"], "--stream", files["stream"], "--token_method", "max", "--chars_per_token", "4.0"]
    found = []
    for run, env in ((script, {"PYTHONHASHSEED": hash_seed}), (stage, {})):
        outs = ("--out", files["out"], "--out_base", files["out_base"])
        done = run("simulate_latency.py", *flags, "--noise_cv", "0.10", *outs, **env)
        assert done.returncode == 0, done.stderr
        found.append(files["out"].read_bytes() + files["out_base"].read_bytes())
    assert found[0] == found[1]
    bad = stage(
        "simulate_latency.py", *flags, "--noise_cv", "-1", "--out", files["out"], "--out_base", files["out_base"]
    )
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1 and "--noise_cv" in bad.stderr


def test_recorded_costs_follow_from_list_prices_and_estimated_tokens(shared_data, tmp_path, stage):
    path = tmp_path / "long.parquet"
    done = stage("prepare_routerbench.py", "--pkl", shared_data / "routerbench_5shot_3164.pkl", "--out", path)
    assert done.returncode == 0, done.stderr
    table, prices = load(path), yaml.safe_load((DEFAULT_CONFIG.parent / "models.yaml").read_text())["models"]
    spoken = output_tokens(table.response, table.n_model, "chars", 4.0)
    read = np.array([len(prompt) / 4 for prompt in table.prompt])
    per_token = np.array(
        [[prices[name][f"price_per_million_{way}"] / 1e6 for name in table.model] for way in ("input", "output")]
    )
    expected = read[:, None] * per_token[0] + spoken * per_token[1]
    np.testing.assert_allclose(expected.mean(axis=0), table.cost_usd.mean(axis=0), rtol=0.015)
