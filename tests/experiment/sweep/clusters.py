"""Real clusters on the loopback interface, of processes that are ended by their ids."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Tells what hangs from what is slow on a busy machine: nothing takes so long that does not hang.
PATIENCE_S = 1200
RAY_TRIES = 10


@dataclass
class Cluster:
    """A cluster and the processes that it was started as: the head first."""

    engine: str
    address: str
    log: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *words: str) -> None:
        """Start one of its processes."""
        with open(self.log, "ab") as log:
            self.started.append(
                subprocess.Popen([sys.executable, *words], cwd=ROOT, env=self.env, stdout=log, stderr=log)
            )

    def workers(self) -> list[int]:
        """Return ids of the processes that run cells."""
        import psutil

        if self.engine == "dask":
            return [process.pid for process in self.started[1:] if process.poll() is None]
        below = [
            child
            for one in self.started
            if one.poll() is None
            for child in psutil.Process(one.pid).children(recursive=True)
        ]
        return [child.pid for child in below if child.name().startswith("ray::Pool")]

    def close(self) -> None:
        """End all of its processes and what they have started."""
        end([process.pid for process in self.started])
        for process in self.started:
            process.wait()


def end(pids: list[int]) -> None:
    """Kill processes and all that they have started."""
    import psutil

    doomed = []
    for pid in pids:
        try:
            one = psutil.Process(pid)
            doomed += [one, *one.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for one in doomed:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=10)


def wait_for(condition: Callable[[], bool], what: str, log: Path) -> None:
    """Wait until something holds; say what did not, with what the cluster printed."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"{what} within {PATIENCE_S} s; {log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


@contextmanager
def dask_cluster(folder: Path, env: dict[str, str]) -> Iterator[Cluster]:
    """Start ``dask scheduler`` and two ``dask worker``."""
    pytest.importorskip("distributed", reason="pip install -r requirements-engines.txt")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scheduler.json"
    cluster = Cluster("dask", "", folder / "log.txt", {**os.environ, **env, "PYTHONPATH": str(ROOT)})
    local = ["--local-directory", str(folder), "--no-dashboard"]
    try:
        cluster.start(
            "-m",
            "dask",
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--scheduler-file",
            str(file),
            "--no-dashboard",
        )
        for _ in range(2):
            cluster.start(
                "-m", "dask", "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", *local
            )
        wait_for(lambda: _is_json(file), "the Dask scheduler did not start", cluster.log)
        cluster.address = json.loads(file.read_text())["address"]
        printed = lambda: cluster.log.read_text(errors="replace").count("Registered to:") == 2  # noqa: E731
        wait_for(printed, "two Dask workers did not register", cluster.log)
        yield cluster
    finally:
        cluster.close()


@contextmanager
def ray_cluster(folder: Path, env: dict[str, str]) -> Iterator[Cluster]:
    """Start a Ray head without processors and two nodes with one each."""
    pytest.importorskip("ray", reason="pip install -r requirements-engines.txt")
    folder.mkdir(parents=True, exist_ok=True)
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_DISABLE_IMPORT_WARNING": "1"}
    cluster = Cluster("ray", "", folder / "log.txt", {**os.environ, **env, **quiet, "PYTHONPATH": str(ROOT)})
    start = [
        "-m",
        "ray.scripts.scripts",
        "start",
        "--block",
        "--disable-usage-stats",
        "--object-store-memory",
        "100000000",
    ]

    def comes_up(n: int, *words: str) -> bool:
        """Start one node; whether n run then. Ray gives a node up after 30 s, which a busy machine may take."""
        cluster.start(*start, *words)
        up = lambda: cluster.log.read_text(errors="replace").count("Ray runtime started") == n  # noqa: E731
        wait_for(lambda: up() or cluster.started[-1].poll() is not None, "no Ray node", cluster.log)
        return up()

    # The sockets' paths may have 107 letters: the folder of a test is too deep.
    short = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    try:
        here = ["--node-ip-address", "127.0.0.1"]
        for _ in range(RAY_TRIES):
            port = _free_port()  # another process may take it before the head does
            head = ["--head", *here, "--port", str(port), "--num-cpus", "0", "--include-dashboard", "false"]
            if comes_up(1, *head, "--temp-dir", short):
                break
        else:
            pytest.fail(f"no Ray head in {RAY_TRIES} tries; {cluster.log.read_text(errors='replace')[-3000:]}")
        cluster.address = f"127.0.0.1:{port}"
        for k in (2, 3):
            if not any(comes_up(k, "--address", cluster.address, *here, "--num-cpus", "1") for _ in range(RAY_TRIES)):
                pytest.fail(f"no Ray node in {RAY_TRIES} tries; {cluster.log.read_text(errors='replace')[-3000:]}")
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(short, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text()))
    except (OSError, ValueError):
        return False


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}
