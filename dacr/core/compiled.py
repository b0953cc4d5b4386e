"""Kernels: loops over runs and models in plain Python, compiled at their first call and kept for later processes."""

from __future__ import annotations

import functools
import hashlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_plain = False


class Kernel:
    """A function over arrays and numbers that numba compiles when it is first called.

    numba is imported then, not before: commands that play nothing start without it. What was compiled is kept on disk,
    beside the source or under ``NUMBA_CACHE_DIR``, until the file that the function stands in changes, or one of those
    with kernels that it calls, or a constant that it reads (:meth:`version`). Where nothing can be kept, each process
    compiles anew. Arithmetic is IEEE's: no sum is reordered, so results do not depend on the number of threads.
    """

    def __init__(self, function: Callable[..., Any], inline: bool = False) -> None:
        self._inline = inline
        self.__wrapped__ = function
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self._compiled: Any = None
        self._for_kernels: Any = None

    def compiled(self) -> Any:
        """Return numba's dispatcher, for calls from Python."""
        if self._compiled is None:
            self._compiled = self._dispatcher(nogil=True)
        return self._compiled

    def for_kernels(self) -> Any:
        """Return numba's dispatcher for calls from other kernels: it takes a fifth less to compile."""
        if self._for_kernels is None:
            self._for_kernels = self._dispatcher(no_cpython_wrapper=True, no_cfunc_wrapper=True)
        return self._for_kernels

    def _dispatcher(self, **how: bool) -> Any:
        from numba import njit  # here: it takes a third of a second, and most commands never need it

        own = self.__wrapped__
        scope = {
            name: _of(value).for_kernels() if isinstance(value, Kernel | types.FunctionType) else value
            for name, value in own.__globals__.items()
            if name in own.__code__.co_names or name == "__name__"
        }
        copied = types.FunctionType(own.__code__, scope, own.__name__, own.__defaults__)
        # numba looks at the function's own file alone; the rest of what it depends on stands in its name.
        copied.__qualname__ = f"{own.__qualname__}.{self.version()}{'' if 'nogil' in how else '.inner'}"
        how |= {"forceinline": self._inline}
        try:
            return njit(cache=True, error_model="numpy", **how)(copied)
        except RuntimeError:  # neither the source's folder nor the user's cache can be written
            return njit(error_model="numpy", **how)(copied)

    def version(self) -> str:
        """Return a hash of what is compiled besides the function's own file: constants, called kernels, and how."""
        seen = {"how": _source(__file__)}
        self._gather(seen)
        return hashlib.sha256("\n".join(f"{name} {seen[name]}" for name in sorted(seen)).encode()).hexdigest()[:16]

    def _gather(self, seen: dict[str, str]) -> None:
        own = self.__wrapped__
        place = f"{self.__module__}:{own.__qualname__}"
        if place in seen:
            return
        seen[place] = _source(own.__code__.co_filename)
        for name in own.__code__.co_names:
            value = own.__globals__.get(name)
            if isinstance(value, Kernel | types.FunctionType):
                _of(value)._gather(seen)
            elif isinstance(value, int | float | tuple | str | np.generic):
                seen[f"{place}.{name}"] = repr(value)

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
def _source(path: str) -> str:
    """Return a hash of a file; '' of what was typed."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


@functools.cache
def _say_once(words: str) -> None:
    print(words, file=sys.stderr)


def _of(function: Any) -> Kernel:
    """Return the kernel itself, or one of a plain function: a formula that arrays and kernels share."""
    return function if isinstance(function, Kernel) else formula(function)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Mark a function as a kernel."""
    return Kernel(function)


def formula(function: Callable[..., Any]) -> Kernel:
    """Mark a function of numbers as a kernel that is put into those that call it: their loops can then be vectors."""
    return Kernel(function, inline=True)
