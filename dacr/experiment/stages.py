"""What each stage of an experiment takes: ``stages.csv``, the one table that is not the same twice."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

COLUMNS = ("stage", "wall_s", "processor_s", "peak_mib")


class Stages:
    """A stop watch that is told the name of each stage as it begins.

    ``wall_s`` and ``processor_s`` (user + system time of this process, all threads) are sums over all that went by one
    name; ``peak_mib`` is the largest resident set meanwhile, what was held before included, NaN where the system does
    not tell. What learners do in threads of their own counts for the stage that goes on meanwhile.

    Parameters
    ----------
    tell : callable
        Is told the name too.
    """

    def __init__(self, tell: Callable[[str], object] = lambda _: None) -> None:
        self._tell = tell
        self._taken: dict[str, list[float]] = {}
        self._begin("table")

    def __call__(self, name: str) -> None:
        """End the stage before, and begin one."""
        self._end()
        self._begin(name)
        self._tell(name)

    def frame(self) -> pd.DataFrame:
        """Return one row per stage, in the order in which they first began; the one under way counts so far."""
        self._end()
        self._begin(self._name)
        return pd.DataFrame([(name, *taken) for name, taken in self._taken.items()], columns=list(COLUMNS))

    def _begin(self, name: str) -> None:
        self._name = name
        self._can_tell = _reset_peak()
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def _end(self) -> None:
        taken = self._taken.setdefault(self._name, [0.0, 0.0, float("nan")])
        taken[0] += time.perf_counter() - self._wall
        taken[1] += time.process_time() - self._processor
        if self._can_tell:
            taken[2] = max(peak_mib(), taken[2]) if taken[2] == taken[2] else peak_mib()


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
