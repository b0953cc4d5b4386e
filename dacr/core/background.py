"""Work in the background: long replays run in threads while the main one goes on."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Protocol

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while another waits, s: a step of a replay takes less than the default."""


class Submit(Protocol):
    """Take a function and its arguments; return a function that waits for the result."""

    def __call__(self, work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """Start ``work(*args)``."""


@contextlib.contextmanager
def background(n_jobs: int) -> Iterator[Submit]:
    """Yield a ``submit``. With one job, work is done when its result is asked for.

    Threads, since kernels give the interpreter back while they run: nothing is imported, compiled or sent twice.
    Results are the same for any number of jobs. Where the block is left by an error, work that has not begun is
    dropped, and what is under way ends with the process at the latest.

    Parameters
    ----------
    n_jobs : int
        At most so many threads, besides the one that goes on.
    """
    if n_jobs <= 1:
        yield lambda work, *args: lambda: work(*args)
        return
    free, dropped, before = threading.Semaphore(n_jobs), threading.Event(), sys.getswitchinterval()

    def submit(work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        result: Future[Any] = Future()

        def do() -> None:
            with free:
                try:
                    result.set_result(None if dropped.is_set() else work(*args))
                except BaseException as error:
                    result.set_exception(error)

        threading.Thread(target=do, daemon=True).start()
        return result.result

    sys.setswitchinterval(SWITCH_S)
    try:
        yield submit
    finally:
        dropped.set()
        sys.setswitchinterval(before)
