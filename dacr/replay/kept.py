"""What learners did, kept by content: a replay whose inputs were played before is read, not played again.

A replay is a function of the fitted router, what it may see, the truth, the runs (:class:`~dacr.replay.play.Entry`,
:class:`~dacr.replay.world.World`) and the code. The key is a hash over all of the two objects, as they would be sent to
another process, and over the code (:mod:`dacr.core.cache`). Nothing that a replay reads is left out of it, so nobody
has to remember to add a setting to the key.

Not kept: routers from outside the package, whose code is not in the key, and results too large for the cache's limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import joblib
import numpy as np

from dacr.core.cache import Arrays, Cache, is_own, loaded_code
from dacr.core.processes import Submit
from dacr.replay.entry import Entry
from dacr.replay.play import play
from dacr.replay.world import World
from dacr.types import Played

_KIND = "played"
_SHARE = 8
"""One result takes at most a part of the cache's limit: one in so many."""


@dataclass(frozen=True)
class Kept:
    """Where the results of one entry are kept, if they can be.

    Attributes
    ----------
    name : str or None
        Of the cache's entry; None for a router whose code the key would not cover.
    code : str
        The version of the code in the name. A process that starts later may run another.
    """

    cache: Cache
    name: str | None
    code: str

    @classmethod
    def of(cls, entry: Entry, world: World, cache: Cache) -> Kept:
        """Find the place of an entry's results by all that they depend on."""
        if cache.folder is None or not all(is_own(type(point.router)) for point in entry.points):
            return cls(cache, None, loaded_code())
        content = joblib.hash((entry, world.for_arms(len(entry.requests.models))), hash_name="sha1")
        return cls(cache, cache.name(_KIND, {"content": content}), loaded_code())

    def start(self, entry: Entry, world: World, submit: Submit) -> Callable[[], list[Played]]:
        """Recall the results, or start making them; return a way to wait for them."""
        known = self.recall(entry, world)
        if known is None:
            return submit(self.play, entry, world)
        return lambda: known

    def recall(self, entry: Entry, world: World) -> list[Played] | None:
        """Return what the entry did when it was played before; None where that is not known."""
        arrays = None if self.name is None else self.cache.find(self.name)
        return None if arrays is None else _unpacked(arrays, entry, world)

    def play(self, entry: Entry, world: World) -> list[Played]:
        """Play an entry at each of its points, and keep the results."""
        played = play(entry, world)
        if self.name is not None:
            arrays = _packed(played)
            small = sum(array.nbytes for array in arrays.values()) <= self.cache.limit_bytes / _SHARE
            if small and loaded_code() == self.code:
                self.cache.put(self.name, arrays)
        return played


def any_kept(cache: Cache) -> bool:
    """Say whether the cache holds a replay at all."""
    return cache.folder is not None and any(cache.folder.glob(f"{_KIND}-*"))


def _packed(played: list[Played]) -> Arrays:
    """Return what was played as few arrays: points above each other, whole numbers in as few bytes as hold them.

    ``row`` is left out: it is the order of the runs, which the key covers.
    """
    arrays: Arrays = {}
    for name in (field.name for field in fields(Played) if field.name != "row"):
        values = [getattr(one, name) for one in played]
        known = np.array([value is not None for value in values])
        arrays[f"{name}.known"] = known
        if known.any():
            stacked = np.concatenate([value for value in values if value is not None])
            if stacked.dtype == np.int64:
                stacked = stacked.astype(_smallest(stacked))
            arrays[name] = stacked
    return arrays


def _unpacked(arrays: Arrays, entry: Entry, world: World) -> list[Played]:
    orders = [world.runs_of(point).order for point in entry.points]
    values: list[dict[str, Any]] = [{"row": order} for order in orders]
    for name in (field.name for field in fields(Played) if field.name != "row"):
        parts: Iterator[np.ndarray] = iter(())
        if name in arrays:
            whole = arrays[name]
            whole = whole.astype(np.int64) if np.issubdtype(whole.dtype, np.integer) else whole
            sizes = [len(order) for order, known in zip(orders, arrays[f"{name}.known"], strict=True) if known]
            parts = iter(np.split(whole, np.cumsum(sizes)[:-1]))
        for value, known in zip(values, arrays[f"{name}.known"], strict=True):
            value[name] = next(parts) if known else None
    return [Played(**value) for value in values]


def _smallest(values: np.ndarray) -> type[np.signedinteger[Any]]:
    for kind in (np.int8, np.int16, np.int32):
        if values.size == 0 or (np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max):
            return kind
    return np.int64
