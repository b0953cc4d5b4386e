"""Processor time: what other work on the machine disturbs least."""

from __future__ import annotations

import time
from collections.abc import Callable


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one run of ``work``, user + system, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start
