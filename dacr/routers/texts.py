"""Texts for routers that read them: questions, and the recorded answers of models that they may call.

Estimates carry no texts, which would be the largest thing in memory. A router that wants them is handed those of the
requests that it will play, block by block, before the first; it keeps what it reads off them, by request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dacr.data.table import RoutingTable
from dacr.estimates.features.question import questions_of
from dacr.types import Ints, Keys

BLOCK_ROWS = 4096
"""Requests whose texts are handed over at once."""


@dataclass(frozen=True)
class Texts:
    """Texts of ``n`` requests.

    Attributes
    ----------
    key : (n,) uint64
        The requests' keys, as in :class:`~dacr.types.Estimates`.
    domain : (n,) object
        The label that routers see; '' where there is none.
    table : RoutingTable
        Where the texts stand.
    rows : (n,) int
    cut : callable, optional
        Gives the questions in the prompts of some rows, where somebody cuts them once for all.
    """

    key: Keys
    domain: NDArray[np.object_]
    table: RoutingTable
    rows: Ints
    cut: Callable[[Ints], list[str]] | None = None

    @property
    def prompt(self) -> NDArray[np.object_]:
        """The whole prompts: (n,)."""
        return self.table.prompt[self.rows]

    @property
    def question(self) -> list[str]:
        """The questions in the prompts, without worked examples before them: (n,)."""
        return questions_of(self.prompt) if self.cut is None else self.cut(self.rows)

    def responses(self, models: Ints) -> pa.Array | None:
        """Return recorded answers of some models, query-major: n * len(models). None where the table has none."""
        if self.table.response is None:
            return None
        cells = self.rows[:, None] * self.table.n_model + np.asarray(models)
        return self.table.response.take(pa.array(cells.ravel()))


@runtime_checkable
class TextReader(Protocol):
    """A router that reads texts. What it makes of a model's answer may show only after that model was called."""

    def read_texts(self, texts: Texts) -> None:
        """Take the texts of some of the requests to come; called once for each block of them."""


def hand_over(
    reader: TextReader,
    key: Keys,
    domain: NDArray[np.object_],
    table: RoutingTable,
    rows: Ints,
    cut: Callable[[Ints], list[str]] | None = None,
) -> None:
    """Hand a router the texts of the requests that it will play: ``key``, ``domain`` and ``rows`` are (n,)."""
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        reader.read_texts(Texts(key[block], domain[block], table, rows[block], cut))


class ByRequest:
    """What was read off requests: a row of small numbers for each, found by its key."""

    def __init__(self) -> None:
        self._parts: list[tuple[Keys, NDArray[Any]]] = []
        self._is_sorted = False

    def add(self, key: Keys, values: NDArray[Any]) -> None:
        """Keep ``values`` (n, ...) of the requests ``key`` (n,)."""
        self._parts.append((key, values))
        self._is_sorted = False

    def find(self, key: Keys, default: int) -> NDArray[Any] | None:
        """Return the values of requests, ``default`` where nothing was read; None where nothing ever was."""
        if not self._parts:
            return None
        if not self._is_sorted:
            every, values = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
            order = np.argsort(every, kind="stable")
            self._parts, self._is_sorted = [(every[order], values[order])], True
        known, values = self._parts[0]
        place = np.minimum(np.searchsorted(known, key), len(known) - 1)
        found: NDArray[Any] = values[place]
        found[known[place] != key] = default
        return found
