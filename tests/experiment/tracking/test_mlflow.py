"""--track mlflow:URI, against a real server on SQLite; a server that fails costs a warning, never the results."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dacr
from dacr.core.errors import UserError
from dacr.experiment.tracking import mlflow

Script = Callable[..., subprocess.CompletedProcess[str]]
CLIENT = importlib.util.find_spec("mlflow") is not None
needs_client = pytest.mark.skipif(not CLIENT, reason="MLflow is not installed: pip install -r requirements-track.txt")
FLAGS = ("--ood_holdout", "mbpp", "--routers", "zero,knn", "--lambdas", "0,50", "--orders", 1)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def ask(uri: str, path: str, **body: object) -> bytes:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{uri}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server on this machine."""
    command = shutil.which("mlflow")
    if command is None:
        pytest.skip("there is no MLflow server on the path: pip install mlflow, in an environment of its own")
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"http://127.0.0.1:{free_port()}"
    where = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", f"{folder}/files"]
    words = [command, "server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2], "--workers", "1", *where]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 180
        while True:
            if process.poll() is not None:
                pytest.skip(f"the MLflow server ends: {(folder / 'log').read_text()[-300:]}")
            try:
                ask(uri, "/health")
                break
            except OSError:
                assert time.monotonic() < end, (folder / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield uri
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)  # it takes its time to end, and its folder goes anyway
            process.wait(30)


@pytest.mark.slow
@needs_client
def test_a_run_has_parameters_metrics_files_and_the_manifest(
    server: str, sample_long: Path, tmp_path: Path, script: Script
) -> None:
    done = script(
        "run_experiment.py", "--data", sample_long, "--results_dir", tmp_path / "r", *FLAGS, "--track",
        f"mlflow:{server}", "--draw", "true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"tracked by {server}: experiment dacr, run " in done.stderr
    found = json.loads(ask(server, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=dacr"))
    number = found["experiment"]["experiment_id"]
    [run] = json.loads(ask(server, "/api/2.0/mlflow/runs/search", experiment_ids=[number]))["runs"]
    assert run["info"]["status"] == "FINISHED" and run["info"]["run_name"] == "r"
    params = {one["key"]: one["value"] for one in run["data"]["params"]}
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert set(params) == set(manifest["config"]) and params["tau_seconds"] == "10.0"
    tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
    assert tags["input.data"] == manifest["inputs"]["data"]["sha256"]
    metrics = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    summary = pd.read_csv(tmp_path / "r" / "summary.csv").set_index("policy")
    for router in ("zero", "knn"):
        assert metrics[f"{router}/net_area"] == pytest.approx(summary.loc[router, "net_area"], abs=0)
    for name in ("manifest.json", "metrics.csv", "decisions.parquet", "report.html", "figures/quality_cost.png"):
        sent = ask(server, f"/get-artifact?run_uuid={run['info']['run_id']}&path={name}")
        assert sent == (tmp_path / "r" / name).read_bytes(), name


@pytest.mark.slow
@needs_client
def test_a_server_that_is_not_there_is_a_warning(sample_long: Path, tmp_path: Path, script: Script) -> None:
    words = ("--data", sample_long, *FLAGS, "--track", f"mlflow:http://127.0.0.1:{free_port()}")
    done = script("run_experiment.py", "--results_dir", tmp_path / "r", *words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert done.returncode == 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "not tracked by http://127.0.0.1:" in line and line.endswith(f"{tmp_path / 'r'} is whole")
    assert set(dacr.ExperimentResults.open(tmp_path / "r").to_pandas()["policy"]) == {"zero", "knn"}


@pytest.mark.parametrize(
    ("track", "told"),
    [
        ("wandb:x", "expected mlflow:URI"),
        ("mlflow:", "expected mlflow:URI"),
        ("mlflow:http://me:secret@host/", "the URI holds a password"),
    ],
)
def test_a_mistake_is_told_before_anything_is_computed(track: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told) as error:
        dacr.run(track=track, data="no such file", results_dir=tmp_path / "r")
    assert "secret" not in str(error.value)
    assert not (tmp_path / "r").exists()


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -r requirements-track\.txt"):
        mlflow.address("mlflow:http://127.0.0.1:5000")


def test_names_of_any_router_are_taken(tmp_path: Path) -> None:
    summary = pd.DataFrame({"policy": ["a%b$ é", "NA"], "kind": "router", "net_area": [0.5, 0.25], "late": [0.1, None]})
    summary.to_csv(tmp_path / "summary.csv", index=False)
    made: dict[str, Any] = dict(mlflow.metrics_of(tmp_path))
    assert made == {"a_b_ _/net_area": 0.5, "a_b_ _/late": 0.1, "NA/net_area": 0.25}
