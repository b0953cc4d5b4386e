"""Feedback that is not what it should be: sparse, delayed, poisoned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dacr.core.registry import protocols
from dacr.core.rng import generator
from dacr.replay.protocols.base import Protocol, require
from dacr.replay.protocols.effects import Effects


@protocols.register("sparse")
class Sparse(Protocol):
    """Few answers are ever rated.

    Parameters
    ----------
    share : float
        Share of the ratings that come, of those that would come otherwise.
    """

    def __init__(self, *, share: float = 0.05) -> None:
        require(0 <= share <= 1, "sparse", "share", share, "a share from 0 to 1")
        self.share = share

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Lose the other ratings."""
        return Effects(p_miss=np.full(n, 1 - self.share))


@protocols.register("delayed")
class Delayed(Protocol):
    """Ratings come later.

    Parameters
    ----------
    by : int
        Further decisions, on top of the experiment's delay.
    """

    def __init__(self, *, by: int = 200) -> None:
        require(by >= 0, "delayed", "by", by, "at least 0 decisions")
        self.by = by

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Delay all ratings alike."""
        return Effects(delay=np.full(n, self.by, dtype=np.int64))


@protocols.register("poisoned")
class Poisoned(Protocol):
    """Some raters lie: they tell 1 - q. What was really had is scored as it was.

    Parameters
    ----------
    share : float
        Share of the ratings that are lies.
    at : float
        From this share of the stream on.
    """

    def __init__(self, *, share: float = 0.1, at: float = 0.0) -> None:
        require(0 <= share <= 1, "poisoned", "share", share, "a share from 0 to 1")
        require(0 <= at <= 1, "poisoned", "at", at, "a share of the stream from 0 to 1")
        self.share, self.at = share, at

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Draw which ratings are lies."""
        lies = generator("protocol", "poisoned", seed).random(n) < self.share
        return Effects(flip=lies & (np.arange(n) >= np.ceil(self.at * n)))
