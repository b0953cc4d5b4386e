"""What learners did, and what routers choose in training, kept by content: nothing is played twice.

A replay is a function of the fitted router, what it may see, the truth, the runs (:class:`~dacr.replay.play.Entry`,
:class:`~dacr.replay.world.World`) and the code. The key is a hash over all of the two objects and over the
code (:mod:`dacr.core.cache`). Nothing that a replay reads is left out of it, so nobody has to remember to add a setting
to the key.

Not kept: routers from outside the package, whose code is not in the key, and results too large for the cache's limit.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import joblib
import numpy as np

from dacr.core.background import Submit
from dacr.core.cache import Arrays, Cache, is_own
from dacr.core.rng import seed_for
from dacr.replay.entry import Entry
from dacr.replay.play import play
from dacr.replay.static import BLOCK_CELLS
from dacr.replay.world import World
from dacr.routers.base import Learner, Router
from dacr.types import SHED, Estimates, Floats, Ints, Played, Training

_SHARE = 8
"""One result takes at most a part of the cache's limit: one in so many."""

MAX_ROWS = 2000
"""Training rows that are looked at, evenly spread: 1 / (n + 1) is little beside any level of a threshold."""


@dataclass(frozen=True)
class Kept:
    """Where the results of one entry are kept, if they can be.

    Attributes
    ----------
    name : str or None
        Of the cache's entry; None for a router whose code the key would not cover.
    """

    cache: Cache
    name: str | None

    @classmethod
    def of(cls, entry: Entry, world: World, cache: Cache) -> Self:
        """Find the place of an entry's results by all that they depend on."""
        if cache.folder is None or not all(is_own(type(point.router)) for point in entry.points):
            return cls(cache, None)
        content = joblib.hash((entry, world.for_arms(len(entry.requests.models))), hash_name="sha1")
        return cls(cache, cache.name("played", {"content": content}))

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
            if sum(array.nbytes for array in arrays.values()) <= self.cache.limit_bytes / _SHARE:
                self.cache.put(self.name, arrays)
        return played


def decided_in_training(routers: Sequence[Router], training: Training, cache: Cache) -> tuple[Floats, Floats]:
    """Return the confidence and the quality of what each of some routers of one class chooses on training rows.

    Estimates there are out-of-fold.

    Returns
    -------
    (n_router, n) each; quality is NaN where none was recorded, both where it would not answer.
    """
    every = np.arange(len(training))[:: -(-len(training) // MAX_ROWS)]
    requests, had = training.requests.take(every), training.outcomes.take(every)
    quality, rows = had.known(had.quality), np.arange(len(every))

    def compute() -> Arrays:
        model, p = _chosen(routers, requests)
        return {"p": p, "quality": np.where(np.isnan(p), np.nan, quality[rows, model])}

    content = joblib.hash((list(routers), requests, quality), hash_name="sha1")
    found = cache.get("in-training", {"content": content}, compute, made_by=tuple({type(one) for one in routers}))
    return found["p"], found["quality"]


def _chosen(routers: Sequence[Router], requests: Estimates) -> tuple[Ints, Floats]:
    """Return the arm that each router chooses for each request, and what it believes of it; learners in runs of one."""
    one, n = copy.copy(routers[0]), len(requests)  # they differ in ``stackable`` arguments: one is each in turn
    step = max(1, BLOCK_CELLS // len(requests.models))  # a run of a learner has a state of every domain and model
    model, p = np.empty((len(routers), n), dtype=np.int64), np.empty((len(routers), n))
    for first in range(0, n, step):
        some, own = requests.take(slice(first, first + step)), slice(first, first + step)
        for k, router in enumerate(routers):
            for name in router.stackable:
                setattr(one, name, getattr(router, name))
            if isinstance(one, Learner):
                one.start(len(some), len(requests.domains), np.full(len(some), seed_for("acceptance"), dtype=np.uint64))
            choice = one.decide(some)
            model[k, own] = choice.model
            p[k, own] = np.where(choice.model == SHED, np.nan, choice.beliefs.p[np.arange(len(some)), choice.model])
    return model, p


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
