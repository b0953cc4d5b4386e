"""Models that do not stay as they were: one gets worse, dearer, or joins late."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.core.errors import UserError
from dacr.core.registry import protocols
from dacr.core.values import AtLeast0, Share
from dacr.data.prices import DEFAULT, Prices
from dacr.replay.protocols.base import Protocol, from_position, index_of, require
from dacr.replay.protocols.effects import Effects
from dacr.types import Floats

INPUT_PER_OUTPUT = 3.0
"""Tokens of input for one of output, at which two prices of one model are compared."""


def _factors(n: int, models: Sequence[str], model: int, at: float, factor: float) -> Floats:
    out = np.ones((n, len(models)))
    out[from_position(n, at), model] = factor
    return out


@protocols.register("degrade")
@dataclass(frozen=True, kw_only=True)
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

    model: str
    at: Share = 0.5
    factor: Share = 0.6

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Multiply the quality of the model."""
        index = index_of(self.model, models, "degrade")
        return Effects(quality_factor=_factors(n, models, index, self.at, self.factor))


@protocols.register("price_change")
@dataclass(frozen=True, kw_only=True)
class PriceChange(Protocol):
    """Prices change: from a moment on the cost of one model is multiplied by a factor, or of all that a file lists.

    Parameters
    ----------
    model : str
        Its name; with ``prices`` it may be left out.
    at : float
        From this share of the stream on.
    factor : float
        New price over old price.
    announced : bool
        Whether predicted costs follow at once; otherwise routers must learn it from what calls cost.
    prices : str
        A file of prices with the day when they held (``as_of``), in place of ``factor``: it is then the new price of
        a call over the old one, at ``INPUT_PER_OUTPUT`` tokens of input for one of output where both moved apart.
    was : str
        The file of the old prices; by default configs/models.yaml.
    """

    model: str = ""
    at: Share = 0.5
    factor: AtLeast0 = 2.0
    announced: bool = False
    prices: str = ""
    was: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.model or self.prices), "price_change", "model", "", "a model's name, or prices=FILE")

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments; a factor has no part where prices are named."""
        return {name: value for name, value in super().params.items() if name != "factor" or not self.prices}

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Multiply the cost of the model, and the predicted cost where the change was announced."""
        changed = self.factors(models) if self.prices else {self.model: self.factor}
        factors = np.ones((n, len(models)))
        for model, factor in changed.items():
            factors *= _factors(n, models, index_of(model, models, "price_change"), self.at, factor)
        return Effects(cost_factor=factors, known_cost_factor=factors if self.announced else None)

    def factors(self, models: Sequence[str]) -> dict[str, float]:
        """Return the new price over the old one of each model that the file lists."""
        new, old = Prices.read(self.prices), Prices.read(self.was or DEFAULT)
        listed = [model for model in ([self.model] if self.model else models) if new.get(model) is not None]
        require(bool(listed), "price_change", "prices", self.prices, f"prices of {self.model or ', '.join(models)}")
        out = {}
        for model in listed:
            then, now = old.get(model), new.get(model)
            assert now is not None
            require(now.as_of != "", "price_change", "prices", self.prices, f"as_of, the day of the price of {model!r}")
            before = then.of_mix(INPUT_PER_OUTPUT) if then is not None else 0.0
            require(before > 0, "price_change", "was", old.source, f"a price above 0 of {model!r} before the change")
            out[model] = now.of_mix(INPUT_PER_OUTPUT) / before
        return out


@protocols.register("late_joiner")
@dataclass(frozen=True, kw_only=True)
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

    model: str
    at: Share = 0.5
    cold: bool = True

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Close the model before it joins."""
        if len(models) < 2:
            raise UserError("--protocol late_joiner: with one model alone none is left before it joins")
        index = index_of(self.model, models, "late_joiner")
        available = np.ones((n, len(models)), dtype=bool)
        available[: n - len(from_position(n, self.at)), index] = False
        return Effects(available=available, cold=np.arange(len(models)) == index if self.cold else None)
