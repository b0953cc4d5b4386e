"""Time and memory of a piece of work in this process."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """What a piece of work took.

    Attributes
    ----------
    wall_s, processor_s : float
        Processor time is user + system time of this process, all threads.
    peak_mib : float
        Largest resident set while it ran, what was held before included; NaN where the system does not tell.
    """

    wall_s: float
    processor_s: float
    peak_mib: float


def measured(work: Callable[[], object]) -> Measured:
    """Run ``work`` once and measure it."""
    can_reset = _reset_peak()
    wall, processor = time.perf_counter(), time.process_time()
    work()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return Measured(wall, processor, peak_mib() if can_reset else float("nan"))


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one run of ``work``: what other work on the machine disturbs least."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_mib() -> float:
    """Return the largest resident set of this process since it was last reset, MiB; NaN where it is not known."""
    # Not ru_maxrss: it starts from what the parent process had, and nothing resets it.
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return float("nan")
    return int(found[1]) / 1024 if found else float("nan")


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
