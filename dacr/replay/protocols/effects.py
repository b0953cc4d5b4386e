"""What a protocol does to outcomes and feedback, position by position, for all runs of a replay at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from dacr.routers.plans.paths import all_there
from dacr.types import Bools, Estimates, Floats, Ints, Outcomes


@dataclass(frozen=True)
class Effects:
    """Changes by position of the stream; None where nothing changes.

    Attributes
    ----------
    quality_factor, cost_factor : (n, n_model) float >= 0
        Outcomes are multiplied by these; quality stays at most 1.
    known_cost_factor : (n, n_model) float >= 0
        Predicted costs are multiplied by these: a price change that was announced.
    available : (n, n_model) bool
        Which models can be called. At least one at each position.
    cold : (n_model,) bool
        Models of which training knows nothing (:mod:`dacr.replay.protocols.cold_start`).
    p_miss : (n,) float in [0, 1]
        Further probability that a rating never comes.
    delay : (n,) int >= 0
        Further decisions that a rating is late.
    flip : (n,) bool
        The rating that is told is 1 - q. What was really had, and is scored, stays.
    """

    quality_factor: Floats | None = None
    cost_factor: Floats | None = None
    known_cost_factor: Floats | None = None
    available: Bools | None = None
    cold: Bools | None = None
    p_miss: Floats | None = None
    delay: Ints | None = None
    flip: Bools | None = None

    @property
    def any(self) -> bool:
        """Whether anything changes."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def and_(self, other: Effects) -> Effects:
        """Return both effects at once.

        Factors multiply, delays add, ratings are lost independently, a model is available or a rating honest only
        where both say so.
        """
        return Effects(
            _both(self.quality_factor, other.quality_factor, np.multiply),
            _both(self.cost_factor, other.cost_factor, np.multiply),
            _both(self.known_cost_factor, other.known_cost_factor, np.multiply),
            _both(self.available, other.available, np.logical_and),
            _both(self.cold, other.cold, np.logical_or),
            _both(self.p_miss, other.p_miss, lambda a, b: 1 - (1 - a) * (1 - b)),
            _both(self.delay, other.delay, np.add),
            _both(self.flip, other.flip, np.logical_or),
        )

    @property
    def changes_outcomes(self) -> bool:
        """Whether what models give changes along the stream."""
        return self.quality_factor is not None or self.cost_factor is not None

    def outcomes(self, t: int | Ints, truth: Outcomes) -> Outcomes:
        """Return what every model gives at position ``t`` (or one position per row), or would if it were there."""
        if not self.changes_outcomes:
            return truth
        quality, cost_usd = truth.quality, truth.cost_usd
        if truth.paths is not None:
            n_model = quality.shape[1] - len(truth.paths.member)
            quality, cost_usd = quality[:, :n_model], cost_usd[:, :n_model]
        if self.quality_factor is not None:
            quality = np.minimum(quality * self.quality_factor[t], 1.0)
        if self.cost_factor is not None:
            cost_usd = cost_usd * self.cost_factor[t]
        if truth.paths is not None:
            return truth.paths.changed(truth, quality, cost_usd)
        return replace(truth, quality=quality, cost_usd=cost_usd)

    def with_plans(self, member: Ints, cost_share: Floats) -> Self:
        """Return what the effects on models mean for plans: columns behind those of the models.

        A plan is open where all its models are, and an announced price moves its cost as far as that model is its cost.

        Parameters
        ----------
        member : (n_plan, depth) int
            Models of each plan, -1 for none.
        cost_share : (n_plan, n_model) float
            Share of each model in a plan's mean training cost.
        """
        known, there = self.known_cost_factor, self.available
        if known is not None:
            known = np.column_stack([known, known @ cost_share.T])
        if there is not None:
            there = np.column_stack([there, all_there(member, there)])
        return replace(self, known_cost_factor=known, available=there)

    def told_of_all(self, t: int, truth: Outcomes) -> Outcomes:
        """Return what full-information twins are told at position ``t``: NaN throughout of models that are not there.

        A flipped rating is flipped for them too: they know more models, not better raters.
        """
        had = self.outcomes(t, truth)
        had = had if self.flip is None else replace(had, quality=self.told(t, had.quality))
        there = self.there_at(t, len(had), had.recorded)
        if there is None:
            return had
        names = ("quality", "cost_usd", "latency_s", "late")
        known: dict[str, Any] = {name: np.where(there, getattr(had, name), np.nan) for name in names}
        if had.cues is not None:
            known["cues"] = np.where(there[:, :, None], had.cues, np.float32(np.nan))
        return replace(had, **known)

    def told(self, t: int | Ints, quality: Floats) -> Floats:
        """Return the ratings that are told of decisions at position(s) ``t``: 1 - q where they are flipped."""
        if self.flip is None:
            return quality
        lie = self.flip[t] if quality.ndim == 1 else np.expand_dims(self.flip[t], -1)
        return np.where(lie, 1 - quality, quality)

    def p_missing(self, t: int | Ints, p: Floats) -> Floats:
        """Return the probability that ratings at position(s) ``t`` never come, given that without the protocol."""
        return p if self.p_miss is None else missing_besides(p, self.p_miss[t])

    def rating_at(self, t: int) -> tuple[int, float]:
        """Return how many more decisions a rating of position ``t`` is late, and with which chance it is lost."""
        lost = 0.0 if self.p_miss is None else float(self.p_miss[t])
        return 0 if self.delay is None else int(self.delay[t]), lost

    def over(self, order: Ints, truth: Outcomes) -> Outcomes:
        """Return the outcomes that a stream in this order really has, in the order of the table.

        For references that see the whole stream: single models, hulls, the oracle.

        Parameters
        ----------
        order : (n,) int
            Row of the request at each position.
        """
        return self.outcomes(_positions(order), truth)

    def there(self, order: Ints, recorded: Bools | None = None) -> Bools | None:
        """Return which models could be called for each request of a stream in this order, by row of the table.

        (n, n_model) as ``recorded`` is, or None where all of them always could.
        """
        if self.available is None:
            return recorded
        here = self.available[_positions(order)]
        return here if recorded is None else here & recorded

    def estimates(self, t: int | Ints, requests: Estimates) -> Estimates:
        """Return what routers may know at position ``t`` (or one position per request): announced prices."""
        changes: dict[str, Any] = {}
        if self.known_cost_factor is not None and (self.known_cost_factor[t] != 1).any():
            changes["cost_hat"] = requests.cost_hat * self.known_cost_factor[t]
            changes["cost_upper"] = requests.cost_upper * self.known_cost_factor[t]
        return requests.with_(**changes) if changes else requests

    def there_at(self, t: int, n_run: int, recorded: Bools | None = None) -> Bools | None:
        """Return which models can be called at position ``t``, (n_run, n_model); None where all of them can.

        Parameters
        ----------
        recorded : (n_run, n_model) bool, optional
            Of the requests at that position.
        """
        if self.available is None or self.available[t].all():
            return None if recorded is None or recorded.all() else recorded
        here = np.broadcast_to(self.available[t], (n_run, self.available.shape[1]))
        return here if recorded is None else here & recorded


def missing_besides(p: Any, lost: Any) -> Any:
    """Return the probability that a rating never comes which goes missing with p, or is lost on the way."""
    return p + (1 - p) * lost


def _positions(order: Ints) -> Ints:
    """Return the position of each row in a stream that has row ``order[t]`` at position t."""
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    return position


def _both(a: Any, b: Any, combine: Any) -> Any:
    return b if a is None else a if b is None else combine(a, b)
