"""Real RouterBench rows through all five stages, where the data lie beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

# Mean quality and mean cost in USD of single models on all 427 mbpp rows, as published.
MBPP = {
    "mistralai/mistral-7b-chat": (0.3443, 4.846e-5),
    "WizardLM/WizardLM-13B-V1.2": (0.3700, 8.099e-5),
    "meta/code-llama-instruct-34b-chat": (0.5176, 1.5603e-4),
    "mistralai/mixtral-8x7b-chat": (0.5410, 1.7429e-4),
    "zero-one-ai/Yi-34B-Chat": (0.3864, 2.2863e-4),
    "meta/llama-2-70b-chat": (0.3302, 2.9722e-4),
    "gpt-3.5-turbo-1106": (0.6534, 3.3476e-4),
    "claude-instant-v1": (0.6042, 4.8113e-4),
    "claude-v1": (0.5972, 4.2735e-3),
    "claude-v2": (0.6417, 5.8376e-3),
    "gpt-4-1106-preview": (0.6862, 9.3771e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", ["routerbench_0shot_783.pkl", "routerbench_5shot_3164.pkl"])
def test_a_real_file_goes_through_all_stages(file: str, shared_data: Path, tmp_path: Path, script: Callable) -> None:
    long, stream = tmp_path / "long.parquet", tmp_path / "stream.jsonl"
    effective, base, results = tmp_path / "eff.jsonl", tmp_path / "base.jsonl", tmp_path / "results"
    held = ("--ood_holdout", "mbpp")

    def stage(name: str, *argv: object) -> str:
        done = script(f"{name}.py", *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    stage("prepare_routerbench", "--pkl", shared_data / file, "--out", long)
    stage("build_stream", "--data", long, "--out", stream, *held, "--max_queries", "1500")
    stage("simulate_latency", "--data", long, "--stream", stream, "--out", effective, "--out_base", base)
    log = ("--latency_log", effective, "--results_dir", results)
    said = stage(
        "run_experiment", "--data", long, *log, *held, "--lambda_lat", "0", "--dacr_lambda_lat", "0", "--routers",
        "cheapest,predict_optimize,dacr,oracle", "--lambdas", "0,20,100,500,5000", "--seeds", "1",
    )  # fmt: skip
    stage("make_figures", "--results_dir", results)

    singles = pd.read_csv(results / "singles.csv").set_index("model")
    assert set(singles["n"]) == {427} and set(singles.index) == set(MBPP)
    for model, (quality, cost) in MBPP.items():
        assert singles.loc[model, "mean_quality"] == pytest.approx(quality, abs=5.1e-5), model
        assert singles.loc[model, "mean_cost"] == pytest.approx(cost, rel=1e-3), model

    area = {line.split()[0]: float(line.split()[2]) for line in said.splitlines() if line.count(".") >= 4}
    assert area["oracle*"] > area["dacr"] > area["cheapest"]
    assert area["oracle*"] > 0.8
    metrics = pd.read_csv(results / "metrics.csv")
    assert (metrics["n"] == 427).all() and metrics["mean_quality"].between(0, 1).all()
    cheapest = metrics.loc[metrics["policy"] == "cheapest"].iloc[0]
    assert cheapest["mean_quality"] == pytest.approx(MBPP["mistralai/mistral-7b-chat"][0], abs=5.1e-5)
    for suffix in ("pdf", "png", "csv"):
        assert (results / "figures" / f"quality_cost.{suffix}").stat().st_size > 500
