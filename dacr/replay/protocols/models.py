"""Models that do not stay as they were: one gets worse, dearer, or joins late."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dacr.core.errors import UserError
from dacr.core.registry import protocols
from dacr.replay.protocols.base import Protocol, from_position, index_of, require
from dacr.replay.protocols.effects import Effects
from dacr.types import Floats


def _factors(n: int, models: Sequence[str], model: int, at: float, factor: float) -> Floats:
    out = np.ones((n, len(models)))
    out[from_position(n, at), model] = factor
    return out


@protocols.register("degrade")
class Degrade(Protocol):
    """One model silently gets worse: from a moment on its quality is multiplied by a factor below 1.

    Parameters
    ----------
    model : str
        Its name.
    at : float
        From this share of the stream on.
    factor : float
        What is left of its quality.
    """

    def __init__(self, *, model: str, at: float = 0.5, factor: float = 0.6) -> None:
        require(0 <= at <= 1, "degrade", "at", at, "a share of the stream from 0 to 1")
        require(0 <= factor <= 1, "degrade", "factor", factor, "a number from 0 to 1")
        self.model, self.at, self.factor = model, at, factor

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Multiply the quality of the model."""
        index = index_of(self.model, models, "degrade")
        return Effects(quality_factor=_factors(n, models, index, self.at, self.factor))


@protocols.register("price_change")
class PriceChange(Protocol):
    """One model's price changes: from a moment on its cost is multiplied by a factor.

    Parameters
    ----------
    model : str
        Its name.
    at : float
        From this share of the stream on.
    factor : float
        New price over old price.
    announced : bool
        Whether predicted costs follow at once; otherwise routers must learn it from what calls cost.
    """

    def __init__(self, *, model: str, at: float = 0.5, factor: float = 2.0, announced: bool = False) -> None:
        require(0 <= at <= 1, "price_change", "at", at, "a share of the stream from 0 to 1")
        require(factor >= 0, "price_change", "factor", factor, "a factor of at least 0")
        self.model, self.at, self.factor, self.announced = model, at, factor, announced

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Multiply the cost of the model, and the predicted cost where the change was announced."""
        factors = _factors(n, models, index_of(self.model, models, "price_change"), self.at, self.factor)
        return Effects(cost_factor=factors, known_cost_factor=factors if self.announced else None)


@protocols.register("late_joiner")
class LateJoiner(Protocol):
    """One model joins late: before a moment it can't be called.

    Parameters
    ----------
    model : str
        Its name.
    at : float
        It can be called from this share of the stream on.
    cold : bool
        Training has no outcome of it: whatever is fitted on the training part, predictors and routers alike, sees
        the mean of the other models in its place (:mod:`dacr.replay.protocols.cold_start`).
    """

    def __init__(self, *, model: str, at: float = 0.5, cold: bool = True) -> None:
        require(0 <= at <= 1, "late_joiner", "at", at, "a share of the stream from 0 to 1")
        self.model, self.at, self.cold = model, at, cold

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Close the model before it joins."""
        if len(models) < 2:
            raise UserError("--protocol late_joiner: with one model alone none is left before it joins")
        index = index_of(self.model, models, "late_joiner")
        available = np.ones((n, len(models)), dtype=bool)
        available[: n - len(from_position(n, self.at)), index] = False
        return Effects(available=available, cold=np.arange(len(models)) == index if self.cold else None)
