"""News that is due later: which decisions it is about, by the position of the stream at which it is told."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Ints


class Calendar:
    """What is due at each of ``n`` positions, in ``n_run`` parallel runs, in the order of the decisions.

    The decision of run r at position t has the number t n_run + r. Those due at one position are a linked list: putting
    one down takes no search, and neither does telling what is due.
    """

    def __init__(self, n: int, n_run: int) -> None:
        self.n_run = n_run
        ends: Any = np.full((2, n + 1), -1, dtype=np.int64)
        self.lists = ends[0], ends[1], np.full(n * n_run, -1, dtype=np.int64)

    def due(self, t: int) -> Ints | None:
        """Return the numbers of the decisions of which news is due at position ``t``; None where there is none."""
        first = self.lists[0][t]
        return None if first < 0 else _listed(first, self.lists[2])

    def after_the_end(self) -> Iterator[Ints]:
        """Give what was still due at the end, by the position of the decision."""
        late = self.due(len(self.lists[0]) - 1)
        if late is not None:
            yield from np.split(late, np.flatnonzero(np.diff(late // self.n_run)) + 1)


@kernel
def put_down(lists: Any, position: int, number: int) -> None:
    """Note that news of a decision is due at a position; what is due after the last is kept together."""
    first, last, after = lists
    place = np.uint64(min(position, len(first) - 1))  # a kernel asks of signed places whether they are negative
    if first[place] < 0:
        first[place] = number
    else:
        after[np.uint64(last[place])] = number
    last[place] = number


@kernel
def _listed(first: int, after: Ints) -> Ints:
    n, at = 0, first
    while at >= 0:
        n, at = n + 1, after[np.uint64(at)]
    out = np.empty(n, np.int64)
    at = first
    for i in range(n):
        out[i], at = at, after[np.uint64(at)]
    return out
