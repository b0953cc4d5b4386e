"""``kill -9`` in the middle of a sweep: the same command completes it; no cell is lost, doubled or half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.experiment.sweep.clusters import CLUSTERS, PATIENCE_S, ROOT, end

Cells = Callable[[Path], dict[str, dict[str, bytes]]]

GRID: dict[str, Any] = {
    "data": "sample:500",
    "settings": {"lambdas": "0,100,1000", "predictor": "base_rate"},
    "grids": {
        "one": {
            "ood_holdout": ["mbpp", "hellaswag"],
            "seeds": "1,2,3,4",
            "routers": ["dacr", "static", "zero", "linucb", "cheapest", "knn", "random", "predict_optimize"],
            "budget_grid": 3,
            "decisions": True,
        }
    },
}
N_CELL = 2 * 8


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid in a file."""
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.write_text(yaml.safe_dump(GRID), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with _Driver(grid, folder) as driver:
        assert driver.wait(PATIENCE_S) == 0
    return folder


class _Driver:
    """``run_sweep.py`` in a process of its own; whatever of it is left at the end is ended."""

    def __init__(self, grid: Path, folder: Path, *flags: str) -> None:
        folder.mkdir(exist_ok=True)
        words = [str(ROOT / "scripts" / "run_sweep.py"), "--config", str(grid), "--results_dir", str(folder), *flags]
        self.log = folder.parent / f"{folder.name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**os.environ, "RAY_AUTH_MODE": "disabled"},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            end([self.process.pid])
        self.process.wait()


def _when(n_part: int, folder: Path, driver: subprocess.Popen[bytes]) -> None:
    """Wait until so many cells are written."""
    until = time.monotonic() + PATIENCE_S
    while sum(1 for _ in (folder / "cells").glob("*/manifest.json")) < n_part:
        assert driver.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < until, f"no {n_part} cells within {PATIENCE_S} s"
        time.sleep(0.005)


def _loky_workers(driver: subprocess.Popen[bytes]) -> list[int]:
    import psutil

    children = psutil.Process(driver.pid).children(recursive=True)
    return [child.pid for child in children if "LokyProcess" in " ".join(child.cmdline())]


def _completes(grid: Path, folder: Path, undisturbed: Path, cells_in: Cells, *flags: str) -> None:
    """Run the command again; what it leaves is what an undisturbed sweep leaves."""
    with _Driver(grid, folder, *flags) as driver:
        assert driver.wait(PATIENCE_S) == 0, (folder.parent / f"{folder.name}.log").read_text()
    assert len(cells_in(folder)) == N_CELL
    assert cells_in(folder) == cells_in(undisturbed)
    tables = {path.name: path.read_bytes() for path in undisturbed.glob("*.csv")}
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == tables


@pytest.mark.slow
@pytest.mark.parametrize("n_part", [2, 9])
def test_a_killed_worker_of_this_machine(
    n_part: int, grid: Path, undisturbed: Path, cells_in: Cells, tmp_path: Path
) -> None:
    pytest.importorskip("psutil", reason="pip install -r requirements-engines.txt")
    folder = tmp_path / "results"
    with _Driver(grid, folder) as driver:
        _when(n_part, folder, driver)
        os.kill(_loky_workers(driver)[0], signal.SIGKILL)
        assert driver.wait(PATIENCE_S) == 0, "a dead worker should not end the sweep"
    _completes(grid, folder, undisturbed, cells_in)


@pytest.mark.slow
@pytest.mark.parametrize("n_part", [1, 6, 12])
def test_a_killed_driver(n_part: int, grid: Path, undisturbed: Path, cells_in: Cells, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with _Driver(grid, folder) as driver:
        _when(n_part, folder, driver)
        os.kill(driver.pid, signal.SIGKILL)
        assert driver.wait(PATIENCE_S) == -signal.SIGKILL
    _completes(grid, folder, undisturbed, cells_in)


@pytest.fixture
def dask_cluster(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Start a Dask cluster under a name."""
    yield lambda name: CLUSTERS["dask"](tmp_path / name, {})


@pytest.mark.slow
@pytest.mark.parametrize("n_part", [3, 9])
def test_a_killed_scheduler(
    n_part: int, grid: Path, undisturbed: Path, cells_in: Cells, tmp_path: Path, dask_cluster: Callable[[str], Any]
) -> None:
    folder = tmp_path / "results"
    with dask_cluster("first") as cluster:
        flags = ("--engine", "dask", "--address", cluster.address)
        with _Driver(grid, folder, *flags) as driver:
            _when(n_part, folder, driver)
            os.kill(cluster.started[0].pid, signal.SIGKILL)
            assert driver.wait(PATIENCE_S) == 1
        printed = (tmp_path / "results.log").read_text()
        assert "the engine stopped" in printed
        assert "Traceback" not in printed
    with dask_cluster("second") as cluster:
        _completes(grid, folder, undisturbed, cells_in, "--engine", "dask", "--address", cluster.address)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "driver"])
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_killed_process_beside_a_cluster(
    engine: str, victim: str, grid: Path, undisturbed: Path, cells_in: Cells, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    with CLUSTERS[engine](tmp_path / "cluster", {}) as cluster:
        flags = ("--engine", engine, "--address", cluster.address)
        with _Driver(grid, folder, *flags) as driver:
            _when(5, folder, driver)
            if victim == "driver":
                os.kill(driver.pid, signal.SIGKILL)
            else:
                os.kill(cluster.workers()[0], signal.SIGKILL)
                assert driver.wait(PATIENCE_S) == 0, "a dead worker should not end the sweep"
        _completes(grid, folder, undisturbed, cells_in, *flags)
