"""Queues behind replicas, as --replicas asks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.workload.arrivals import poisson

FLAGS = ("--ood_holdout", "hellaswag", "--lambdas", "0", "--seeds", "1", "--orders", "2", "--n_jobs", "1")


def run(data: Path, folder: Path, *flags: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return decisions and metrics."""
    words = [str(word) for word in ("--data", data, "--results_dir", folder, *FLAGS, *flags)]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 0
    decisions = pd.read_parquet(folder / "decisions.parquet")
    return decisions.sort_values(["policy", "seed", "t"]), pd.read_csv(folder / "metrics.csv").set_index("policy")


def waits_by_hand(model: np.ndarray, arrival_s: np.ndarray, service_s: np.ndarray, replicas: dict[str, int]) -> list:
    """Walk one stream: every model has so many replicas, each free again when its call is served."""
    free = {name: [0.0] * count for name, count in replicas.items()}
    waits = []
    for name, arrival, service in zip(model, arrival_s, service_s, strict=True):
        first = min(range(len(free[name])), key=free[name].__getitem__)
        waits.append(max(0.0, free[name][first] - arrival))
        free[name][first] = arrival + waits[-1] + service
    return waits


@pytest.mark.parametrize("per_model", ["1", "3", "mixed"])
def test_latency_is_wait_and_service_and_counts_towards_tau(per_model: str, sample_long: Path, tmp_path: Path) -> None:
    names = sorted(pd.read_parquet(sample_long, columns=["model"])["model"].unique())
    replicas = {name: 1 + k % 3 if per_model == "mixed" else int(per_model) for k, name in enumerate(names)}
    text = ",".join(f"{name}={count}" for name, count in replicas.items()) if per_model == "mixed" else per_model
    routers = ("--routers", "random,strongest,linucb", "--tau_seconds", "4", "--dacr_p_miss", "1", "--rate_qps", "2")
    # Served at once: what a call takes by itself.
    alone, _ = run(sample_long, tmp_path / "alone", *routers, "--replicas", "1000")
    queued, metrics = run(sample_long, tmp_path / "queued", *routers, "--replicas", text)
    service = alone.groupby(["qid", "model"], observed=True)["latency_s"].first()
    n = queued["t"].max() + 1
    arrival = poisson(n, 2.0, 1)
    for policy in ("random", "strongest"):
        runs = queued[queued["policy"] == policy].groupby("seed")
        assert len(runs) == 2, "what queues plays the learners' orders"
        for _, mine in runs:
            own = mine.set_index(["qid", "model"]).index
            expected = service.reindex(own).to_numpy()
            assert np.isfinite(expected).all()
            waits = waits_by_hand(mine["model"].to_numpy(), arrival, expected, replicas)
            np.testing.assert_allclose(mine["latency_s"], expected + waits, rtol=1e-9)
    late = queued["latency_s"] > 4
    assert (late == (queued["slo_violation"] > 0)).all()
    found = queued.groupby("policy", observed=True)["slo_violation"].mean()
    np.testing.assert_allclose(metrics["slo_violation_rate"].loc[found.index], found, rtol=1e-8)


def test_sending_everything_to_one_model_makes_it_late(sample_long: Path, tmp_path: Path) -> None:
    flags = ("--routers", "strongest,random", "--tau_seconds", "10")
    _, alone = run(sample_long, tmp_path / "alone", *flags, "--replicas", "50")
    _, queued = run(sample_long, tmp_path / "queued", *flags, "--replicas", "1")
    assert (alone["slo_violation_rate"] == 0).all()
    assert queued.loc["strongest", "slo_violation_rate"] > 0.3
    assert queued.loc["random", "slo_violation_rate"] < queued.loc["strongest", "slo_violation_rate"] / 3


def test_a_share_of_late_answers_is_kept_in_queues_by_spreading_calls(sample_long: Path, tmp_path: Path) -> None:
    """Where the best model's queue grows, the arena learns that it is late and sends requests elsewhere."""
    flags = (
        "--routers",
        "strongest",
        "--replicas",
        "1",
        "--budget_late",
        "0.1",
        "--lambda_lat",
        "0",
        "--tau_seconds",
        "4",
    )
    decisions, _ = run(sample_long, tmp_path, *flags, "--rate_qps", "4")
    shares = decisions.groupby([decisions["setting"].astype(str), "seed"])["slo_violation"].mean().unstack()
    assert (shares.loc["budget_late=0.1"] < 0.65 * shares.loc[""]).all() and shares.shape == (2, 2)
    late = shares[1]
    models = decisions.groupby(decisions["setting"].astype(str))["model"].nunique()
    assert models[""] == 1 and models["budget_late=0.1"] > 1
    assert late[""] > 0.3 and late["budget_late=0.1"] < late[""] / 2
