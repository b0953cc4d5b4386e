"""The small grid gives the same bytes wherever it is run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dacr.core.errors import UserError
from dacr.experiment.sweep import engines
from tests.experiment.sweep.clusters import CLUSTERS, ROOT

Cells = Callable[[Path], dict[str, dict[str, bytes]]]

GRID = ROOT / "configs" / "sweep.yaml"


@pytest.fixture(scope="module")
def in_one_process(script: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small grid, run by joblib in one process."""
    folder = tmp_path_factory.mktemp("one")
    done = script("run_sweep.py", "--results_dir", folder, "--n_jobs", 1, DACR_CACHE_DIR=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_processes_give_the_same_parts(
    in_one_process: Path, script: Callable[..., Any], cells_in: Cells, tmp_path: Path
) -> None:
    done = script("run_sweep.py", "--results_dir", tmp_path, "--n_jobs", 2, DACR_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert len(cells_in(tmp_path)) == 6
    assert cells_in(tmp_path) == cells_in(in_one_process)
    for path in sorted(in_one_process.glob("*.csv")):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_of_two_workers_gives_the_same_parts(
    engine: str, in_one_process: Path, script: Callable[..., Any], cells_in: Cells, tmp_path: Path
) -> None:
    env = {"DACR_CACHE_DIR": str(tmp_path / "cache")}
    with CLUSTERS[engine](tmp_path / "cluster", env) as cluster:
        flags = ("--results_dir", tmp_path / "results", "--engine", engine, "--address", cluster.address)
        done = script("run_sweep.py", *flags, **{**env, "RAY_AUTH_MODE": "disabled"})
    assert done.returncode == 0, done.stderr
    assert "6 cells: 6 done (0 of them before), 0 failed, 0 left" in done.stdout
    assert cells_in(tmp_path / "results") == cells_in(in_one_process)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_an_address_at_which_nothing_answers_is_one_line(
    engine: str, module: str, script: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip(module, reason="pip install -r requirements-engines.txt")
    address = "tcp://127.0.0.1:9" if engine == "dask" else "127.0.0.1:9"
    done = script("run_sweep.py", "--results_dir", tmp_path, "--engine", engine, "--address", address)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: --address {address}: no")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_workers_that_are_starting_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that is typed right after its workers is not too early; where none comes it is one line."""
    distributed = pytest.importorskip("distributed", reason="pip install -r requirements-engines.txt")
    monkeypatch.setattr(engines, "_PATIENCE_S", 3)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(UserError, match="no workers for 3 s"), engines._dask(address, 1):
            pass
        monkeypatch.setattr(engines, "_PATIENCE_S", 60)
        late = threading.Timer(1.0, cluster.scale, [1])
        late.start()
        with engines._dask(address, 1) as alive:
            assert alive()
        late.join()
