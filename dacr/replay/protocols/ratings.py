"""Feedback that is not what it should be: sparse, delayed, poisoned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dacr.core.registry import protocols
from dacr.core.rng import generator
from dacr.core.values import Share, Whole
from dacr.replay.protocols.base import Protocol
from dacr.replay.protocols.effects import Effects


@protocols.register("sparse")
@dataclass(frozen=True, kw_only=True)
class Sparse(Protocol):
    """Few answers are ever rated.

    Parameters
    ----------
    share : float
        Share of the ratings that come, of those that would come otherwise.
    """

    share: Share = 0.05

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Lose the other ratings."""
        return Effects(p_miss=np.full(n, 1 - self.share))


@protocols.register("delayed")
@dataclass(frozen=True, kw_only=True)
class Delayed(Protocol):
    """Ratings come later.

    Parameters
    ----------
    by : int
        Further decisions, on top of the experiment's delay.
    """

    by: Whole = 200

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Delay all ratings alike."""
        return Effects(delay=np.full(n, self.by, dtype=np.int64))


@protocols.register("poisoned")
@dataclass(frozen=True, kw_only=True)
class Poisoned(Protocol):
    """Some raters lie: they tell 1 - q. What was really had is scored as it was.

    Parameters
    ----------
    share : float
        Share of the ratings that are lies.
    at : float
        From this share of the stream on.
    """

    share: Share = 0.1
    at: Share = 0.0

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Draw which ratings are lies."""
        lies = generator("protocol", "poisoned", seed).random(n) < self.share
        return Effects(flip=lies & (np.arange(n) >= np.ceil(self.at * n)))
