"""Kernels: loops over runs and models in plain Python, compiled at their first call and kept for later processes."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_plain = False


class Kernel:
    """A function over arrays and numbers that numba compiles when it is first called.

    numba is imported then, not before: commands that play nothing start without it. What was compiled is kept on disk,
    beside the source or under ``NUMBA_CACHE_DIR``, until the file that the function stands in changes; so a kernel may
    call kernels of its own file alone (numba does not notice changes elsewhere). Where nothing can be kept, each
    process compiles anew. Arithmetic is IEEE's: no sum is reordered, so results do not depend on the number of threads.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self._compiled: Any = None

    def compiled(self) -> Any:
        """Return numba's dispatcher."""
        if self._compiled is None:
            from numba import njit  # here: it takes a third of a second, and most commands never need it

            own = self.__wrapped__
            scope = {
                name: value.compiled() if isinstance(value, Kernel) else value
                for name, value in own.__globals__.items()
                if name in own.__code__.co_names or name == "__name__"
            }
            copied = types.FunctionType(own.__code__, scope, own.__name__, own.__defaults__)
            try:
                self._compiled = njit(cache=True, error_model="numpy")(copied)
            except RuntimeError:  # neither the source's folder nor the user's cache can be written
                self._compiled = njit(error_model="numpy")(copied)
        return self._compiled

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        if _plain:
            return self.__wrapped__(*args)
        if self._compiled is not None:
            return self._compiled(*args)
        compiled = self.compiled()
        result = compiled(*args)
        if compiled.stats.cache_misses and sys.stderr.isatty():
            _say_once("compiling the steps of replays for this machine; later runs read what was compiled")
        return result


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run kernels as the Python that they are: for a call or two that is less than loading numba."""
    global _plain
    before, _plain = _plain, True
    try:
        with np.errstate(all="ignore"):  # as compiled code does
            yield
    finally:
        _plain = before


@functools.cache
def _say_once(words: str) -> None:
    print(words, file=sys.stderr)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Mark a function as a kernel."""
    return Kernel(function)
