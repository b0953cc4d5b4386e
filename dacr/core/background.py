"""Threads: long replays run in the background while the main one goes on, and linear algebra keeps to one."""

import contextlib
import functools
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Protocol

from threadpoolctl import ThreadpoolController


class Submit(Protocol):
    """Take a function and its arguments; return a function that waits for the result."""

    def __call__(self, work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """Start ``work(*args)``."""


@contextlib.contextmanager
def background(n_jobs: int) -> Iterator[Submit]:
    """Yield a ``submit``. Who asks for a result that is not there works on what has not begun.

    Threads, since kernels give the interpreter back while they run: nothing is imported, compiled or sent twice.
    Results are the same for any number of jobs. Where the block is left, work that has not begun is cancelled, and
    what is under way ends with the process at the latest.

    Parameters
    ----------
    n_jobs : int
        So many threads work, the one that goes on among them: more would wait for the interpreter.
    """
    waiting: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()

    def do(result: Future[Any], work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            result.set_result(work(*args))
        except BaseException as error:
            result.set_exception(error)
            if isinstance(error, KeyboardInterrupt):  # of the main thread, whosever result it works on
                raise

    def work_off() -> None:
        while (task := waiting.get()) is not None:
            do(*task)

    def submit(work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        result: Future[Any] = Future()
        waiting.put((result, work, args))

        def wait() -> Any:
            while not result.done() and (task := _next(waiting)) is not None:
                do(*task)
            return result.result()

        return wait

    others = max(n_jobs, 1) - 1
    for _ in range(others):
        threading.Thread(target=work_off, daemon=True).start()
    try:
        yield submit
    finally:
        while (task := _next(waiting)) is not None:
            task[0].cancel()
        for _ in range(others):
            waiting.put(None)


def _next(waiting: "queue.SimpleQueue[Any]") -> Any:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def one_thread() -> contextlib.AbstractContextManager[object]:
    """Give linear algebra and OpenMP one thread within a block: sums round alike everywhere, and steps are short."""
    return _pools(len(sys.modules)).limit(limits=1)


@functools.lru_cache(maxsize=1)
def _pools(n_module: int) -> ThreadpoolController:
    """Find the libraries that have threads: looked for anew, for 3 ms, where imports may have loaded one."""
    return ThreadpoolController()
