"""Work in the background: long replays run in processes of their own while the main one goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from dacr.core import registry


class Submit(Protocol):
    """Take a function and its arguments; return a function that waits for the result."""

    def __call__(self, work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """Start ``work(*args)``."""


@contextlib.contextmanager
def background(n_jobs: int, plugin: Path | None = None, at_once: int | None = None) -> Iterator[Submit]:
    """Yield a ``submit``. With one job, work is done when its result is asked for, in this process.

    Results are the same for any number of jobs. Processes are spawned, not forked, because a fork of a
    process with threads may hang; each imports the plugin, so that its parts are known there too.

    Parameters
    ----------
    n_jobs : int
        At most so many processes.
    at_once : int, optional
        So many of them start now, all by default; the others when there is work for them.
    """
    if n_jobs <= 1:
        yield lambda work, *args: lambda: work(*args)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_prepare, initargs=(plugin,)) as pool:
        # Processes take a second to import what they need: they begin before there is work for them.
        for _ in range(n_jobs if at_once is None else min(at_once, n_jobs)):
            pool.submit(_nothing)

        def submit(work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
            return pool.submit(work, *args).result

        try:
            yield submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _nothing() -> None:
    """Make a process start."""


def _prepare(plugin: Path | None) -> None:
    # One thread per process: the processes share the cores already.
    threadpool_limits(1)
    if plugin is not None:
        registry.load_plugin(plugin)
