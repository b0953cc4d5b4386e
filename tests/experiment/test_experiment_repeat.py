"""The same command, the same bytes: under other hash seeds, with one worker or two, cold or warm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from dacr.core import cli
from dacr.experiment import run
from dacr.experiment.settings import ExperimentSettings

SMALL = (
    "--routers", "cheapest,predict_optimize,dacr", "--lambdas", "5", "--seeds", "1", "--orders", "2",
    "--ood_holdout", "grade-school-math",
)  # fmt: skip


def csvs(folder: Path) -> dict[str, bytes]:
    """Every table that has to be the same; stage times are what a clock says."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv")) if path.name != "stages.csv"}


@pytest.fixture(scope="module")
def first(sample_long: Path, tmp_path_factory: pytest.TempPathFactory, script: Callable) -> Path:
    """Results of a cold run under hash seed 1 with one worker; its cache stands beside them."""
    folder = tmp_path_factory.mktemp("repeat")
    env = {"PYTHONHASHSEED": "1", "DACR_CACHE_DIR": str(folder / "cache")}
    done = script(
        "run_experiment.py", "--data", sample_long, "--results_dir", folder / "results", *SMALL, "--n_jobs", "1", **env
    )
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout and "Traceback" not in done.stderr
    return folder


def test_the_files_of_an_experiment(first: Path) -> None:
    names = {path.name for path in (first / "results").iterdir()}
    assert names == {
        "manifest.json", "decisions.parquet", "metrics.csv", "metrics_by_seed.csv", "metrics_by_domain.csv",
        "singles.csv", "calibration_ece.csv", "reliability.csv", "regret.csv", "checks.csv", "frontier.csv",
        "stages.csv", "summary.csv", "acceptance.csv",
    }  # fmt: skip
    metrics = pd.read_csv(first / "results" / "metrics.csv")
    assert list(metrics.columns[:2]) == ["policy", "lambda_cost"]
    assert {"n", "mean_quality", "mean_cost", "mean_latency_s", "p95_latency_s", "p99_latency_s"} <= set(metrics)
    assert set(metrics["policy"]) == {"cheapest", "predict_optimize", "dacr"}
    decisions = pq.read_table(first / "results" / "decisions.parquet").to_pandas()
    for row in metrics.itertuples():  # tables are sums over decisions
        mine = decisions[decisions["policy"] == row.policy]
        assert len(mine) == row.n * row.n_seed and not mine.duplicated(["seed", "qid"]).any()
        assert mine["quality"].mean() == pytest.approx(row.mean_quality)
        assert mine["cost"].mean() == pytest.approx(row.mean_cost)
        assert mine["slo_violation"].mean() == pytest.approx(row.slo_violation_rate)
    assert set(decisions["domain"]) == {"grade-school-math"}


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_the_same_bytes_under_another_hash_seed_and_two_workers(
    cache: str, first: Path, sample_long: Path, tmp_path: Path, script: Callable
) -> None:
    env = {"PYTHONHASHSEED": "2", "DACR_CACHE_DIR": str(first / "cache" if cache == "warm" else tmp_path / "cache")}
    done = script(
        "run_experiment.py", "--data", sample_long, "--results_dir", tmp_path / "r", *SMALL, "--n_jobs", "2", **env
    )
    assert done.returncode == 0, done.stderr
    assert csvs(tmp_path / "r") == csvs(first / "results")
    one, two = (pq.read_table(path / "decisions.parquet") for path in (first / "results", tmp_path / "r"))
    assert one.schema.equals(two.schema)
    pd.testing.assert_frame_equal(one.to_pandas(), two.to_pandas(), check_exact=True)  # NaN equals NaN


def run_here(*argv: object) -> int:
    return cli.run(run.run_experiment, [str(word) for word in argv], settings_class=ExperimentSettings)


def test_learners_beside_each_other_decide_the_same(sample_long: Path, tmp_path: Path) -> None:
    for n_jobs in ("1", "4"):
        flags = ("--lambdas", "5,50", "--seeds", "1,2", "--orders", "2", "--routers", "random,dacr,dacr_eq9,dacr_full")
        words = ("--data", sample_long, "--results_dir", tmp_path / n_jobs, *flags, "--n_jobs", n_jobs, "--no_cache")
        assert run_here(*words, "true", "--draw", "false") == 0
    assert csvs(tmp_path / "1") == csvs(tmp_path / "4")


def test_a_seed_gives_the_same_whatever_other_seeds_and_routers_run(
    first: Path, sample_long: Path, tmp_path: Path
) -> None:
    flags = (
        "--lambdas",
        "50,5",
        "--seeds",
        "1,3",
        "--orders",
        "2",
        "--routers",
        "dacr,random",
        "--ood_holdout",
        "grade-school-math",
    )
    assert run_here("--data", sample_long, "--results_dir", tmp_path, *flags) == 0
    kept = {"policy": "dacr", "lambda_cost": 5.0, "seed": 1}

    def mine(folder: Path) -> pd.DataFrame:
        frame = pq.read_table(folder / "decisions.parquet").to_pandas()
        frame = frame[(frame[list(kept)] == pd.Series(kept)).all(axis=1)].reset_index(drop=True)
        return frame.drop(columns="setting").astype({"policy": str, "qid": str, "domain": str, "model": str})

    pd.testing.assert_frame_equal(mine(first / "results"), mine(tmp_path), rtol=1e-9)
