"""Cells of several processes share one cache."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from dacr.core.cache import Cache

N_PROCESS = 4
N_ENTRY = 12


def _fill(folder: str, k: int, gate: str) -> list[float]:
    """Ask for every entry as soon as all processes are there; return a sum of each."""
    Path(gate, str(k)).touch()
    while sum(1 for _ in Path(gate).iterdir()) < N_PROCESS:
        pass
    cache = Cache(Path(folder))
    sums = []
    for entry in range(N_ENTRY):
        arrays = cache.get("test-1", {"entry": entry}, lambda entry=entry: _compute(entry))  # type: ignore[misc]
        sums.append(float(arrays["x"].sum() + arrays["y"].sum()))
    return sums


def _compute(entry: int) -> dict[str, np.ndarray]:
    return {"x": np.full((200, 300), entry, dtype=np.float32), "y": np.arange(entry + 1, dtype=np.float64)}


def test_processes_that_compute_the_same_entries_at_once_leave_the_right_bytes(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    alone = Cache(tmp_path / "alone")
    for entry in range(N_ENTRY):
        alone.get("test-1", {"entry": entry}, lambda entry=entry: _compute(entry))  # type: ignore[misc]
    expected = [float(200 * 300 * entry + np.arange(entry + 1).sum()) for entry in range(N_ENTRY)]
    with ProcessPoolExecutor(N_PROCESS, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_fill, str(tmp_path / "cache"), k, str(tmp_path / "gate")) for k in range(N_PROCESS)]
        assert [job.result() for job in jobs] == [expected] * N_PROCESS
    there = {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("test-1-*")}
    assert there == {path.name: path.read_bytes() for path in (tmp_path / "alone").glob("test-1-*")}
    assert len(there) == N_ENTRY
    assert not list((tmp_path / "cache").glob(".*.part"))
