from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cli import StrList
from dacr.data import hub
from dacr.data.prepare import prepare_routerbench
from dacr.data.sample import facts
from dacr.experiment.verify import benchmark, line, offline, stage

Script = Callable[..., subprocess.CompletedProcess[str]]


def wide(n: int, seed: int = 0) -> pd.DataFrame:
    """A wide table in the original's columns, with made-up outcomes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "prompt": '["?"]', "eval_name": "hellaswag"})
    for k, model in enumerate(facts.MODELS):
        frame[model] = (rng.random(n) < facts.MEAN_QUALITY[k]).astype(float)
        frame[f"{model}|total_cost"] = rng.random(n) * 2 * facts.MEAN_COST[k]
    frame["oracle_model_to_route_to"] = "no_model_correct"
    return frame


def verdicts(lines: list[line.Line], part: str) -> list[str]:
    return [one.verdict for one in lines if part in one.what]


def test_offline_part_holds() -> None:
    lines = offline.lines()
    assert len(lines) >= 15
    assert {one.verdict for one in lines} == {"ok"}, line.table(lines)


def test_a_mismatch_is_told_with_more_digits() -> None:
    one = line.number("x", 1.0, 1.0000001, "here")
    assert one.verdict == "MISMATCH" and one.expected != one.got
    assert line.number("x", 1.0, float("nan"), "here").verdict == "MISMATCH"
    assert line.summary([one, line.skipped("y", "why")]) == "0 ok, 1 mismatches, 1 skipped (not checked)"
    assert "skipped   y: why" in line.table([one, line.skipped("y", "why")])


def test_areas_follow_the_published_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = wide(400)
    frame.loc[3, "claude-v2"] = np.nan  # counts as 0
    q = frame[list(facts.MODELS)].fillna(0.0)
    c = frame[[f"{m}|total_cost" for m in facts.MODELS]]
    rows = np.random.RandomState(42).permutation(400)[:380]
    grid = np.linspace(c.iloc[rows].mean().min(), c.iloc[rows].mean().max(), 20_001)
    points = list(zip(c.iloc[rows].mean(), q.iloc[rows].mean(), strict=True))
    best = np.full(len(grid), -np.inf)
    for xa, ya in points:
        best = np.where(grid >= xa, np.maximum(best, ya), best)
        for xb, yb in points:
            inside = (xa <= grid) & (grid <= xb) & (xa < xb)
            best = np.where(inside, np.maximum(best, ya + (yb - ya) * (grid - xa) / max(xb - xa, 1e-30)), best)
    brute = 100 * np.trapezoid(best, grid) / (grid[-1] - grid[0])
    monkeypatch.setitem(benchmark.AREAS, "0-shot", (0.0, 0.0, brute))
    got = benchmark.areas(frame[list(facts.MODELS)].to_numpy(), c.to_numpy(), "0-shot", "f")
    assert [one.verdict for one in got] == ["MISMATCH", "MISMATCH", "ok"], line.table(got)


def test_published_areas_agree_with_published_means() -> None:
    """The areas are of 95 % of the rows, so the means of all rows must come near them."""
    from dacr.metrics.frontier import aiq

    for chosen, wanted in zip(benchmark.CHOSEN, benchmark.AREAS["0-shot"], strict=True):
        columns = list(chosen) if chosen else list(range(11))
        got = 100 * aiq(facts.MEAN_COST[columns], facts.MEAN_QUALITY[columns])
        assert got == pytest.approx(wanted, abs=0.1)


def test_a_whole_file_is_checked_line_by_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "routerbench_0shot.pkl"
    wide(300).to_pickle(path)
    monkeypatch.setitem(benchmark.N_QUERY, "0-shot", 300)
    lines = benchmark.lines(path)
    assert verdicts(lines, "SHA-256") == ["MISMATCH"]
    assert hub_sum(path) in line.table(lines) and hub.SHA256[path.name] in line.table(lines)
    assert verdicts(benchmark.lines(path, accept_sum=True), "SHA-256") == ["skipped"]
    assert verdicts(lines, "rows") == ["ok"]
    assert verdicts(lines, "evaluations") == ["MISMATCH"]
    assert len(verdicts(lines, "quality")) == 11 and len(verdicts(lines, "area of")) == 3
    assert verdicts(lines, "marked as solved by none") == ["MISMATCH"]
    monkeypatch.setitem(hub.SHA256, path.name, hub_sum(path))
    assert verdicts(benchmark.lines(path), "SHA-256") == ["ok"]


def hub_sum(path: Path) -> str:
    from dacr.core import files

    return files.sha256(path)


def test_five_shot_counts_half_empty_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frame = wide(300)
    frame.loc[:13, "sample_id"] = [f"s{i}" for i in range(20, 34)]
    frame.loc[:13, "claude-v1"] = np.nan
    path = tmp_path / "five.pkl"
    frame.to_pickle(path)
    monkeypatch.setitem(benchmark.N_QUERY, "5-shot", 300)
    lines = benchmark.lines(path)
    assert verdicts(lines, "half-empty") == ["ok"]
    assert verdicts(lines, "SHA-256") == ["skipped"]


def test_raw_file_and_foreign_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "raw.pkl"
    raw = pd.DataFrame({"sample_id": ["a", "b"], "model_name": "claude-v1", "performance": 0.6301, "cost": 0.002145})
    raw.to_pickle(path)
    monkeypatch.setattr(benchmark, "N_RAW", 2)
    assert [one.verdict for one in benchmark.lines(path)] == ["skipped", "ok", "ok", "ok"]
    raw.rename(columns={"performance": "p"}).to_pickle(path)
    assert [one.verdict for one in benchmark.lines(path)] == ["skipped", "skipped"]


def test_real_mbpp_rows_agree_with_the_published_table(shared_data: Path) -> None:
    lines = benchmark.lines(shared_data / "routerbench_5shot_3164.pkl")
    assert verdicts(lines, "MBPP") == ["ok"] * 24
    assert verdicts(lines, "counts, means and areas") == ["skipped"]


def test_script_exits_0_and_names_what_it_skipped(stage: Script, tmp_path: Path) -> None:
    done = stage("verify.py", "--out", tmp_path / "verify.txt")
    assert done.returncode == 0, done.stderr
    assert "no --data was given" in done.stdout and "no --pkl was given" in done.stdout
    assert (tmp_path / "verify.txt").read_text() == done.stdout


def test_exit_code_1_on_a_mismatch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "routerbench_5shot.pkl", tmp_path / "b.pkl"
    wide(20).to_pickle(a)
    wide(20).to_pickle(b)
    assert stage.verify(pkl=StrList([str(a), str(b)])) == 1
    said = capsys.readouterr().out
    assert "differs from what was recorded" in said and "b.pkl" in said


def test_a_missing_file_is_one_line(stage: Script, tmp_path: Path) -> None:
    done = stage("verify.py", "--pkl", tmp_path / "none.pkl", tmp_path / "other.pkl")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_long_tables(tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.parquet"
    tiny_long.to_parquet(path)
    assert stage.verify(data=path) == 0
    said = capsys.readouterr().out
    assert "has 2 MBPP rows" in said and "has 6 queries" in said


def test_generated_benchmark_is_not_held_to_published_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_routerbench(sample=500, out=str(tmp_path / "s.parquet"))
    assert stage.verify(data=tmp_path / "s.parquet") == 0
    assert "is the generated benchmark" in capsys.readouterr().out
