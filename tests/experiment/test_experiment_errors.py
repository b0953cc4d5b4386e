"""Bad input: one line on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dacr.core import cli
from dacr.experiment import run
from dacr.experiment.settings import ExperimentSettings


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """Run in an empty results folder's place; return the one line that was said."""
    words = [str(word) for word in ("--results_dir", tmp_path / "r", *argv)]
    try:
        code = cli.run(run.run_experiment, words, settings_class=ExperimentSettings)
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    assert code == 2, said.out + said.err
    assert said.err.startswith("error: ") and said.err.count("\n") == 1 and said.err.endswith("\n"), said.err
    assert not said.out and not (tmp_path / "r").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    return said.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--lambdas", "1,x"), ["'x' is not a number", "--lambdas"]),
        (("--lambdas", "-1"), ["--lambdas", "at least 0"]),
        (("--lambdas", ""), ["--lambdas"]),
        (("--lambdas", "5,5"), ["twice"]),
        (("--seeds", "1.5"), ["1.5", "whole number"]),
        (("--routers", "cheepest"), ["unknown router 'cheepest'", "did you mean 'cheapest'?"]),
        (("--routers", "dacr,dacr"), ["twice"]),
        (("--predictor", "logistik"), ["did you mean 'logistic'?"]),
        (("--calibrator", "plat"), ["did you mean 'platt'?"]),
        (("--decision_info", "truth"), ["predicted or oracle"]),
        (("--missing_latency", "zero"), ["error or drop or impute"]),
        (("--dacr_p_miss", "1.5"), ["--dacr_p_miss", "from 0 to 1"]),
        (("--dacr_delay", "-1"), ["--dacr_delay", "at least 0"]),
        (("--dacr_budget_cost", "0"), ["--dacr_budget_cost", "above 0"]),
        (("--tau_seconds", "0"), ["--tau_seconds"]),
        (("--test_size", "1"), ["--test_size"]),
        (("--tua_seconds", "3"), ["--tua_seconds"]),
        (("--n_jobs", "many"), ["--n_jobs"]),
        (("--plugin", "no_such.py"), ["no_such.py"]),
        (("--ood_holdout", "grade-scool-math"), ["matches no domain", "'grade-school-math'"]),
        (
            ("--ood_holdout", ",".join("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")),
            ["matches no domain"],
        ),
        (("--config_latency", "none.yaml"), ["none.yaml"]),
        (("--features", "none.npy"), ["none.npy"]),
        (("--latency_log", "none.jsonl"), ["none.jsonl", "simulate_latency.py"]),
        (("--stream", "none.jsonl"), ["none.jsonl"]),
    ],
)
def test_bad_flags(
    argv: tuple[str, ...], says: list[str], sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(tmp_path, capsys, "--data", sample_long, *argv)
    for part in says:
        assert part in said


def test_a_hold_out_of_everything(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    domains = sorted(pd.read_parquet(sample_long, columns=["domain"])["domain"].astype(str).unique())
    said = refused(tmp_path, capsys, "--data", sample_long, "--ood_holdout", ",".join(domains))
    assert f"all {len(domains)} domains" in said


def test_the_real_process_says_one_line_and_exits_with_2(tmp_path: Path, script: Callable) -> None:
    (tmp_path / "long.parquet").touch()
    done = script("run_experiment.py", "--data", tmp_path / "lnog.parquet", "--results_dir", tmp_path / "r")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.count("\n") == 1 and "the nearest that exists is" in done.stderr
    assert "long.parquet" in done.stderr and not (tmp_path / "r").exists()


def test_a_truncated_table(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = sample_long.read_bytes()
    for name, content in {"cut": data[: len(data) // 2], "empty": b"", "text": b"qid,prompt\n1,2\n"}.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
        assert "not a readable Parquet file" in refused(tmp_path, capsys, "--data", tmp_path / f"{name}.parquet")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("quality", float("nan"), "quality is NaN"),
        ("cost", float("nan"), "cost is NaN"),
        ("quality", 1.5, "quality must lie in [0, 1]"),
        ("quality", -0.1, "quality must lie in [0, 1]"),
        ("cost", -1e-6, "cost must be at least 0"),
        ("model", None, "'model' is empty"),
        ("qid", "twice", "lack some of the"),
    ],
)
def test_unsound_tables(
    column: str, value: object, says: str, sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_parquet(sample_long).astype({"qid": object, "model": object})
    frame.loc[13, column] = value
    frame.to_parquet(tmp_path / "bad.parquet")
    assert says in refused(tmp_path, capsys, "--data", tmp_path / "bad.parquet")


def test_a_row_that_stands_twice(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_parquet(sample_long)
    pd.concat([frame, frame.iloc[[13]]]).to_parquet(tmp_path / "bad.parquet")
    assert "stand twice" in refused(tmp_path, capsys, "--data", tmp_path / "bad.parquet")


@pytest.mark.parametrize("content", ["", "{not json\n", '{"qid": "a"}\n', "[1, 2]\n"])
def test_unreadable_streams_and_logs(
    content: str, sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    for flag in ("--stream", "--latency_log"):
        assert "bad.jsonl" in refused(tmp_path, capsys, "--data", sample_long, flag, path)


def test_a_stream_from_another_split(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    qid = pd.read_parquet(sample_long, columns=["qid", "domain"]).query("domain != 'mbpp'")["qid"].iloc[0]
    line = {"arrival_s": 0.0, "ts": 1.0, "qid": qid, "domain": "d", "prompt": "p", "lat_mult": 1.0}
    (tmp_path / "s.jsonl").write_text(json.dumps(line) + "\n")
    flags = ("--data", sample_long, "--ood_holdout", "mbpp", "--stream", tmp_path / "s.jsonl")
    assert "not in the test split" in refused(tmp_path, capsys, *flags)


def test_broken_config_files(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content, says in (("lamdas: [1]\n", "lamdas"), ("lambdas: {\n", "is not YAML"), ("- 1\n", "mapping")):
        (tmp_path / "e.yaml").write_text(content)
        assert says in refused(tmp_path, capsys, "--data", sample_long, "--config", tmp_path / "e.yaml")
    assert "none.yaml" in refused(tmp_path, capsys, "--config", tmp_path / "none.yaml")


def test_a_file_where_the_results_should_go(
    sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("x")
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "taken"), "--routers", "cheapest"]
    assert cli.run(run.run_experiment, words, settings_class=ExperimentSettings) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "a file stands in the way" in said
    assert (tmp_path / "taken").read_text() == "x"
