"""Where cells are run: joblib's back ends for processes of this machine, a Dask cluster and a Ray cluster."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import joblib

from dacr.core.errors import UserError

Engine = Literal["loky", "dask", "ray"]
_INSTALL = "pip install -r requirements-engines.txt"
_PATIENCE_S = 20
"""How long a cluster may take to answer."""

T = TypeVar("T")
R = TypeVar("R")


class EngineStopped(Exception):
    """A worker died, or the cluster is gone: some tasks have no outcome. ``fatal``: trying again is of no use."""

    def __init__(self, reason: str, fatal: bool = False) -> None:
        super().__init__(reason)
        self.fatal = fatal


@contextlib.contextmanager
def connected(
    engine: Engine, address: str, n_jobs: int
) -> Iterator[Callable[[Callable[[T], R], Sequence[T]], Iterator[R]]]:
    """Yield a function that maps work over tasks and yields outcomes as they come, in any order.

    Without an address Dask and Ray start workers on this machine.

    Raises
    ------
    UserError
        An engine that is not installed, or an address at which nothing answers.
    EngineStopped
        From the function: workers died before all tasks had an outcome.
    """
    if engine == "loky" and address:
        raise UserError("--address names a cluster: give --engine dask or --engine ray with it")
    with {"loky": _loky, "dask": _dask, "ray": _ray}[engine](address, n_jobs) as alive:

        def run(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
            parallel = joblib.Parallel(
                n_jobs=n_jobs if not address else -1, return_as="generator_unordered", batch_size=1, max_nbytes=None
            )
            try:
                yield from parallel(joblib.delayed(work)(task) for task in tasks)
            except GeneratorExit:
                raise
            except Exception as error:  # each library has its own ways to say that a worker is gone
                reason = (str(error).splitlines() or [""])[0]
                raise EngineStopped(f"{type(error).__name__}: {reason}", fatal=not alive()) from error

        yield run


@contextlib.contextmanager
def _loky(address: str, n_jobs: int) -> Iterator[Callable[[], bool]]:
    with joblib.parallel_config("loky", n_jobs=n_jobs):
        yield lambda: True


@contextlib.contextmanager
def _dask(address: str, n_jobs: int) -> Iterator[Callable[[], bool]]:
    try:
        import distributed
    except ImportError:
        raise UserError(f"--engine dask needs the package distributed: {_INSTALL}") from None
    _import_here()
    # A lost scheduler is told in one line by whoever runs the sweep; the library's threads print pages about it.
    for name in ("asyncio", "tornado", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("asyncio", "distributed", "tornado"):  # each of them has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    where: dict[str, Any] = {"address": address} if address else {"n_workers": n_jobs, "threads_per_worker": 1}
    if not address:
        where["dashboard_address"] = None
    try:
        client = distributed.Client(**where, timeout=_PATIENCE_S, set_as_default=True)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"--address {address}: no Dask scheduler answers ({error}); start one: dask scheduler"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE_S)  # one that was started just before may be on its way
        except TimeoutError:
            why = f"the scheduler has had no workers for {_PATIENCE_S} s; start some: dask worker {address}"
            raise UserError(f"--address {address}: {why}") from None
        with joblib.parallel_config("dask", n_jobs=-1):
            yield lambda: client.status == "running"
    finally:
        client.close(timeout=5)


@contextlib.contextmanager
def _ray(address: str, n_jobs: int) -> Iterator[Callable[[], bool]]:
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError:
        raise UserError(f"--engine ray needs the package ray: {_INSTALL}") from None
    _import_here()
    where: dict[str, Any] = {"address": address}
    if not address:
        where = {"address": "local", "num_cpus": n_jobs, "include_dashboard": False}
    try:
        if address:
            _knock(address)  # Ray itself would go on trying for minutes
        ray.init(**where, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"--address {address}: no Ray cluster answers ({error}); start one: ray start --head") from None

    def alive() -> bool:
        try:
            return bool(ray.is_initialized() and ray.cluster_resources().get("CPU", 0))
        except Exception:  # whatever a lost connection raises
            return False

    class Backend(RayBackend):  # type: ignore[misc]
        """Ray's pool calls back when a task is done, so that outcomes can be taken as they come."""

        supports_return_generator = True

    try:
        if not alive():
            raise UserError(f"--address {address}: the cluster has no CPU to work on; start some: ray start --address")
        joblib.register_parallel_backend("dacr_ray", Backend)
        with joblib.parallel_config("dacr_ray", n_jobs=-1 if address else n_jobs):
            yield alive
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError or ValueError where no process listens at ``host:port`` or ``scheme://host:port``."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon:
        raise ValueError("expected host:port")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()


def _import_here() -> None:
    """Let workers that this process starts import the project, wherever it was started."""
    root = str(Path(__file__).resolve().parents[3])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])
