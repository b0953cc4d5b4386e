"""The money of many runs: what is spent, held and in flight, what may be spent next, and which models it affords."""

from __future__ import annotations

from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.core.money import NANO_PER_USD, rounded_up, to_nano
from dacr.replay.budgets.ledger import Ledger
from dacr.types import SHED, Bools, Estimates, Floats, Ints

CATCH_UP = 0.15
"""What a run is ahead of an even pace is made up for within this share of its horizon."""

BURST, BURST_CALLS = 0.03, 2.0
"""What is in flight may exceed its pace by this share of the horizon's money, and must leave room for so many calls."""

SOONEST = 50.0
"""On short streams what a run is ahead is made up for within so many requests at least: not all at once."""

LEAST_PACE = 0.02
"""A run that is far ahead keeps this share of its pace: the cheapest model must go on being called."""

LEAST_HORIZON = 20
"""Where no horizon is known, what is in flight is bounded as on a stream of so many requests."""

TRUSTED = 5.0
"""The ratio of paid to predicted starts at 1 with the weight of so many requests' money."""

LEAST_RATIO, MOST_RATIO = 0.1, 10.0
"""Bounds of paid / predicted: beyond them a few odd bills would stand for all."""

FADE = 0.98
"""A bill counts this much less with each newer one: learners correct their own predictions as they go."""


class Purse:
    """What ``n_run`` parallel runs may spend, by the rules that :class:`~dacr.replay.budgets.pacer.Pacer` describes.

    Parameters
    ----------
    budget_cost : (n_run,) float, USD per request; infinity is off
    horizon : int or None
        Number of requests that will come, as far as is known.
    most_usd : (n_row, n_model) float, optional
        The most that a call of each model can cost for each request (:meth:`meet`).

    Attributes
    ----------
    pays : (n_run,) bool
        Runs that have a budget.
    unit : (n_run,) float
        Their budgets, 1 for the others.
    """

    def __init__(self, budget_cost: Floats, horizon: int | None, most_usd: Floats | None) -> None:
        self.pays = np.isfinite(budget_cost)
        self.on = bool(self.pays.any())
        self.unit = np.where(self.pays, budget_cost, 1.0)
        self.ledger = Ledger(np.zeros(len(self.unit)))
        self._horizon = horizon or 0
        self._most_usd = most_usd
        self._most: Floats = np.empty((0, 0))
        self._decided = 0
        # Paid, and predicted: of late, and ever.
        self._bills, self._bills_ever = np.zeros((2, len(self.unit), 2))
        self._cheapest_sum, self._flying, self._flying_usd = np.zeros((3, len(self.unit)))
        ledger, bills = self.ledger, (self._bills, self._bills_ever, self._flying, self._flying_usd)
        self.state = ledger.granted, ledger.reserved, ledger.spent, self.unit, *bills
        self._grant(self._horizon)

    def _grant(self, n_request: int) -> None:
        """Make what the ledger grants worth ``n_request`` requests."""
        nano = np.rint(self.unit * n_request * NANO_PER_USD).astype(np.int64)
        np.maximum(self.ledger.granted, nano, out=self.ledger.granted)

    @property
    def clock(self) -> tuple[int, int, int, bool]:
        """Requests decided and still to come, the horizon (0 where none is known), whether bounds are known."""
        left = max(self._horizon - self._decided, 0)
        return self._decided, left, self._horizon, self._most_usd is not None

    def meet(self, row: Ints) -> None:
        """Note which request each run is about to decide, (n_run,), where the most that a call can cost is known."""
        if self._most_usd is not None:
            self._most = self._most_usd[row]

    def pace(self) -> Floats:
        """Return what may be spent per request from here on: (n_run,) USD.

        What is left for each request left; but what a run is ahead of an even pace is made up for within ``CATCH_UP``
        of its horizon, so that a stream that ends before it is not left with the whole of it.
        """
        return self._paces(predicted=False)

    def pace_predicted(self) -> Floats:
        """Return the same in the dollars that beliefs predict: over the ratio of paid to predicted costs."""
        return self._paces(predicted=True)

    def _paces(self, predicted: bool) -> Floats:
        out = np.empty(len(self.unit))
        _paces(self.state, self.clock, predicted, out)
        return out

    def open_to(self, beliefs: Estimates) -> Bools:
        """Return which models may be called: (n_run, n_model)."""
        if self._decided >= self._horizon:
            self._grant(self._decided + 1)
        is_open = np.empty(beliefs.cost_hat.shape, dtype=bool)
        costs = beliefs.cost_hat, beliefs.cost_upper, self._most
        _open(self.state, self.clock, self.pays, self._cheapest_sum, costs, is_open)
        return is_open

    def afforded(self, model: Ints) -> Ints:
        """Return the models to be called, (n_run,): ``SHED`` where the most that the call can cost is not free."""
        if self._most_usd is None:
            return model
        fits = to_nano(self._most)[np.arange(len(model)), model] <= self.ledger.free
        return np.where(fits | ~self.pays, model, SHED)

    def reserve(self, beliefs: Estimates, model: Ints) -> Ints:
        """Set money aside for the calls just decided; return what is held, (n_run,) nano-dollars."""
        self._decided += 1
        held = np.zeros(len(model), dtype=np.int64)
        most = beliefs.cost_upper if self._most_usd is None else self._most
        _reserve(self.state, self.pays, model, beliefs.cost_hat, most, self._most_usd is not None, held)
        return held


@kernel
def _ratio(paid: float, predicted: float, unit: float) -> float:
    """Return paid / predicted, shrunk towards 1 by ``TRUSTED``."""
    return min(max((paid + TRUSTED * unit) / (predicted + TRUSTED * unit), LEAST_RATIO), MOST_RATIO)


@kernel
def _caution(state: Any, r: int) -> float:
    """Return the larger of recent and lasting paid / predicted, at least 1."""
    _, _, _, unit, bills, ever, _, _ = state
    return max(_ratio(bills[r, 0], bills[r, 1], unit[r]), _ratio(ever[r, 0], ever[r, 1], unit[r]), 1.0)


@kernel
def _money(state: Any, bounded: bool, r: int) -> Any:
    """Return what is spent or in flight, and what is left, in USD: as held; in expectation under a bound."""
    granted, reserved, spent, unit, bills, _, _, flying_usd = state
    if not bounded:
        return (reserved[r] + spent[r]) / NANO_PER_USD, (granted[r] - reserved[r] - spent[r]) / NANO_PER_USD
    committed = spent[r] / NANO_PER_USD + _ratio(bills[r, 0], bills[r, 1], unit[r]) * flying_usd[r]
    return committed, granted[r] / NANO_PER_USD - committed


@kernel
def pace_of(state: Any, clock: Any, r: int) -> float:
    """Return what may be spent per request from here on."""
    unit, (decided, left, horizon, bounded) = state[3][r], clock
    if left == 0:
        return unit
    committed, free = _money(state, bounded, r)
    ahead = committed - unit * decided
    pace = free / left
    if ahead > 0:
        pace = min(pace, unit - ahead / max(CATCH_UP * horizon, SOONEST))
    return max(pace, LEAST_PACE * unit)


@kernel
def _paces(state: Any, clock: Any, predicted: bool, out: Floats) -> None:
    _, _, _, unit, bills, _, _, _ = state
    for r in range(len(out)):
        out[r] = pace_of(state, clock, r)
        if predicted:
            out[r] /= _ratio(bills[r, 0], bills[r, 1], unit[r])


@kernel
def _open(state: Any, clock: Any, pays: Bools, cheapest_sum: Floats, costs: Any, is_open: Bools) -> None:
    granted, reserved, spent, unit, _, _, flying, flying_usd = state
    (decided, left, horizon, bounded), (mean, upper, most) = clock, costs
    for r in range(len(pays)):
        cheapest, thriftiest = 0, -1
        for m in range(1, mean.shape[1]):
            if mean[r, m] < mean[r, cheapest]:
                cheapest = m
        cheapest_sum[r] += mean[r, cheapest]
        if not pays[r]:
            is_open[r] = True
            continue
        # What calls have cost over what was predicted: on an unseen domain predictions may be far too low.
        caution = _caution(state, r)
        # Money that the rest needs: the cheapest model's mean predicted cost so far, for each request left.
        needed = max(left - 1, 0) * caution * cheapest_sum[r] / (decided + 1)
        spare = _money(state, bounded, r)[1] - needed
        # Bills come late, and a price that is wrong shows late: what is in flight may exceed the pace by so much only.
        burst = BURST * unit[r] * max(horizon, LEAST_HORIZON)
        room = pace_of(state, clock, r) * (flying[r] + 1) + burst - caution * flying_usd[r]
        free = granted[r] - reserved[r] - spent[r]
        for m in range(mean.shape[1]):
            dear = upper[r, m] * caution
            is_open[r, m] = dear <= spare and BURST_CALLS * dear <= room
            if bounded:
                fits = np.int64(rounded_up(most[r, m])) <= free
                is_open[r, m] &= most[r, m] <= free / NANO_PER_USD - most[r, cheapest] * (flying[r] + 1)
                is_open[r, m] = fits and (is_open[r, m] or mean[r, m] == mean[r, cheapest])
                if fits and (thriftiest < 0 or mean[r, m] < mean[r, thriftiest]):
                    thriftiest = m
            elif mean[r, m] == mean[r, cheapest]:
                is_open[r, m] = True
        if bounded:
            # Where nothing that is open fits, the cheapest that does; where nothing does, all: the request is shed.
            for m in range(mean.shape[1]):
                thrifty = thriftiest < 0 or (
                    mean[r, m] == mean[r, thriftiest] and np.int64(rounded_up(most[r, m])) <= free
                )
                is_open[r, m] |= thrifty


@kernel
def _reserve(state: Any, pays: Bools, model: Ints, mean: Floats, most: Floats, bounded: bool, held: Ints) -> None:
    _, reserved, _, _, _, _, flying, flying_usd = state
    for r in range(len(model)):
        m = model[r]
        if m < 0:
            continue
        flying[r] += 1.0
        flying_usd[r] += mean[r, m]
        if pays[r]:
            held[r] = np.int64(rounded_up(most[r, m] if bounded else most[r, m] * _caution(state, r)))
            reserved[r] += held[r]


@kernel
def settle(state: Any, pays: Bools, run: Ints, held: Ints, predicted: Floats, paid: Floats) -> None:
    """Replace reservations of finished calls by what they cost; older bills of the same runs fade first."""
    _, reserved, spent, _, bills, ever, flying, flying_usd = state
    for r in run:  # number by number: to compile a product of arrays takes a second
        bills[r, 0] *= FADE
        bills[r, 1] *= FADE
    for i in range(len(run)):
        r = run[i]
        reserved[r] -= held[i]
        if pays[r]:
            spent[r] += np.int64(rounded_up(paid[i]))
        for sums in (bills, ever):
            sums[r, 0] += paid[i]
            sums[r, 1] += predicted[i]
        flying[r] -= 1.0
        flying_usd[r] -= predicted[i]
