"""What is done about memory: freed memory goes back to the system, and drawing goes on without collections."""

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

import pyarrow as pa


def release() -> None:
    """Give freed memory back to the system: what an allocator keeps counts as the process's own.

    Worth it after work that took many small pieces. Where the C library can't, Arrow's part alone is given back.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc has it
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Work without rounds of the collector of cycles: where nearly all that is made is kept, each looks at it again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
