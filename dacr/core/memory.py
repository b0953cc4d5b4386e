"""Memory that was freed goes back to the system: what an allocator keeps for later counts as the process's own."""

import ctypes
import sys

import pyarrow as pa


def release() -> None:
    """Give back what is free, after work that took many small pieces; where the C library can't, Arrow's part alone."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc has it
    if trim is not None:
        trim(0)
