"""Budgets that hold: shadow prices pace spending and lateness, a ledger refuses what is not affordable."""

from __future__ import annotations

import numpy as np

from dacr.core.money import NANO_PER_USD, to_nano
from dacr.replay.budgets.late_pace import LatePace
from dacr.replay.budgets.ledger import Ledger
from dacr.replay.budgets.shadow_price import ShadowPrice
from dacr.types import SHED, Bools, Estimates, Floats, Ints

COST_SCALE = 0.02
"""A cost dual's step of 1 is this much quality: it only corrects the re-solved price."""

LATE_SCALE = 0.02
"""A lateness dual's step of 1 is this much quality times delta: it only corrects the re-solved price."""

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


class Pacer:
    """Primal-dual pacing of mean cost and late share, for ``n_run`` parallel runs.

        mu_c <- [mu_c + eta (c_t / B_t - 1)]+,       price of a dollar      x_t + mu_c / B,
        mu_l <- [mu_l + eta (late_t / delta - 1)]+,   price of a late answer  y_t + mu_l / delta,

    with B_t = (money left) / (requests left). Steps are normalised by the target and not clipped. x_t is
    the dual optimum on recent requests (:class:`ShadowPrice`), re-solved for B_t over the ratio of paid to
    predicted costs: it finds the price within a few requests, and mu_c corrects what predictions miss.
    (With mu_c alone, steps that are large enough to find the price in time oscillate around it: calls differ
    in cost by a factor of 200. Measured on two real hold-outs, mean quality over 20 budgets was .02 to .03
    lower.) y_t is the like for lateness (:class:`LatePace`), on what the arena has learnt of it. Where the
    horizon is unknown, or has passed, B_t is the plain B, and money is granted as requests
    arrive.

    Prices pace; the ledger guards. A model is open to a request only if the upper quantile of its
    predicted cost leaves enough to serve the rest of the horizon with the cheapest model, and if what is then
    in flight, with bills unknown, exceeds the pace by little; the model that is predicted cheapest is always open.
    (What is known to be overspent closes no model: B_t makes up for it within ``CATCH_UP`` of the horizon.)
    Money is reserved at the decision and settled when the call ends, which is also when the duals step.

    A quantile can be exceeded. Where the most that a call can cost is known before it, that is what is reserved, and
    a model is open only where it fits what is free; where none does the request is shed. Then spent + reserved <= B n
    at any time, whatever the tail of costs. The most lies far above the mean, so prices go by what is in flight in
    expectation, and dear models leave room for as many calls of the cheapest as are in flight.

    References: dual mirror descent, Balseiro, Lu and Mirrokni 2023, doi:10.1287/opre.2021.2242; adaptive
    pacing, Balseiro and Gur 2019, doi:10.1287/mnsc.2018.3174.

    Parameters
    ----------
    budget_cost : (n_run,) float, USD per request; infinity is off
    budget_late : (n_run,) float, share of late answers; infinity is off
    horizon : int or None
        Number of requests that will come, as far as is known; None where it is not.
    most_usd : (n_row, n_model) float, optional
        The most that a call of each model can cost for each request (:meth:`meet`).
    eta : float
        Step size of the duals, in units of ``COST_SCALE`` and ``LATE_SCALE``.

    Attributes
    ----------
    on, hurries : bool
        Whether any run has a budget, and whether one of lateness.
    mu_cost, mu_late : (n_run,) float
        The duals.
    """

    def __init__(
        self,
        budget_cost: Floats,
        budget_late: Floats,
        horizon: int | None,
        eta: float = 0.05,
        most_usd: Floats | None = None,
    ) -> None:
        self.budget_cost = np.asarray(budget_cost, dtype=float)
        self.budget_late = np.asarray(budget_late, dtype=float)
        self.horizon = horizon
        self.eta = eta
        self.most_usd = most_usd
        self.mu_cost = np.zeros(len(self.budget_cost))
        self.mu_late = np.zeros(len(self.budget_cost))
        self._pays = np.isfinite(self.budget_cost)
        self._hurries = np.isfinite(self.budget_late)
        self.hurries = bool(self._hurries.any())
        self.on = bool(self._pays.any()) or self.hurries
        self._unit = np.where(self._pays, self.budget_cost, 1.0)
        self._share = np.where(self._hurries, self.budget_late, 1.0)
        self.ledger = Ledger(np.zeros(len(self._unit)))
        self.late_pace = LatePace(self.budget_late, horizon)
        self._decided = 0
        self._grant(horizon or 0)
        self._solved = ShadowPrice(len(self._unit))
        # Paid, and predicted: of late, and ever.
        self._bills, self._bills_ever = np.zeros((2, len(self._unit), 2))
        self._cheapest_sum = np.zeros(len(self._unit))
        self._flying = np.zeros(len(self._unit))
        self._flying_usd = np.zeros(len(self._unit))
        self._most: Floats | None = None

    def meet(self, row: Ints) -> None:
        """Note which request each run is about to decide, (n_run,), where the most that a call can cost is known."""
        if self.most_usd is not None:
            self._most = self.most_usd[row]

    def _grant(self, n_request: int) -> None:
        """Make what the ledger grants worth ``n_request`` requests."""
        nano = np.rint(self._unit * n_request * NANO_PER_USD).astype(np.int64)
        self.ledger.granted = np.maximum(self.ledger.granted, nano)

    @property
    def _left(self) -> int:
        """Requests still to come, as far as is known; 0 where it is not."""
        return max((self.horizon or 0) - self._decided, 0)

    def see(self, requests: Estimates) -> Floats | None:
        """See the requests that are about to be decided; return P(late) as the arena knows it, (n_run, n_model)."""
        return self.late_pace.see(requests) if self.hurries else None

    def reprice_late(self, value: Floats, beliefs: Estimates) -> Floats | None:
        """Return the price of a late answer for requests that were seen: as :meth:`reprice_cost` does."""
        if not self.hurries:
            return None
        self.late_pace.watch(value - self.prices()[0] * beliefs.cost_hat)
        return self.prices()[1]

    def reprice_cost(self, value: Floats, beliefs: Estimates) -> Floats | None:
        """See the requests that are about to be decided; return the price of a dollar for them, (n_run, 1).

        ``value`` is (n_run, n_model), before the price of money.
        """
        if not self._pays.any():
            return None
        self._solved.watch(value, beliefs.cost_hat, self._pace() / self._bias(), self._pays)
        return self.prices()[0]

    def pace_cost(self) -> Floats | None:
        """Return what may be spent per request, in predicted dollars: (n_run,), infinity where no budget acts."""
        return np.where(self._pays, self._pace() / self._bias(), np.inf) if self._pays.any() else None

    def _pace(self) -> Floats:
        """Return what may be spent per request from here on: (n_run,) USD.

        What is left for each request left; but what a run is ahead of an even pace is made up for within ``CATCH_UP``
        of its horizon, so that a stream that ends before it is not left with the whole of it.
        """
        if not self._left:
            return self._unit
        committed, left = self._money()
        soon = max(CATCH_UP * (self.horizon or 0), SOONEST)
        ahead = np.maximum(committed - self._unit * self._decided, 0.0)
        pace = np.where(ahead > 0, self._unit - ahead / soon, np.inf)
        return np.maximum(np.minimum(left / self._left, pace), LEAST_PACE * self._unit)

    def _money(self) -> tuple[Floats, Floats]:
        """Return what is spent or in flight, and what is left: (n_run,) USD, as held; in expectation under a bound."""
        if self.most_usd is None:
            return (self.ledger.granted - self.ledger.free) / NANO_PER_USD, self.ledger.free_usd
        committed = self.ledger.spent / NANO_PER_USD + self._bias() * self._flying_usd
        return committed, self.ledger.granted / NANO_PER_USD - committed

    def _bias(self) -> Floats:
        """Return paid / predicted over recent bills, shrunk towards 1: (n_run,)."""
        return _ratio(self._bills, self._unit)

    def _caution(self) -> Floats:
        """Return the larger of recent and lasting paid / predicted, at least 1: (n_run,)."""
        return np.maximum(np.maximum(self._bias(), _ratio(self._bills_ever, self._unit)), 1.0)

    def prices(self) -> tuple[Floats, Floats]:
        """Return the prices of a dollar and of a late answer, each (n_run, 1), in quality."""
        if not self.on:
            return self.mu_cost[:, None], self.mu_late[:, None]
        late = self.late_pace.price + self.mu_late / self._share
        return (self._solved.price + self.mu_cost / self._unit)[:, None], late[:, None]

    def open_to(self, beliefs: Estimates) -> Bools | None:
        """Return which models may be called: (n_run, n_model); None where there is no budget."""
        affordable = self._affordable(beliefs)
        if not self.hurries:
            return affordable
        timely = self.late_pace.open_to()
        if affordable is None:
            return timely
        both = affordable & timely
        # Where purse and clock have no model in common, the purse rules.
        return np.where(both.any(axis=1, keepdims=True), both, affordable)

    def _affordable(self, beliefs: Estimates) -> Bools | None:
        if not self._pays.any():
            return None
        if self._left == 0:
            self._grant(self._decided + 1)
        cheapest = beliefs.cost_hat.min(axis=1)
        self._cheapest_sum += cheapest
        # What calls have cost over what was predicted: on an unseen domain predictions may be far too low.
        bias = self._caution()
        # Money that the rest needs: the cheapest model's mean predicted cost so far, for each request left.
        needed = max(self._left - 1, 0) * bias * self._cheapest_sum / (self._decided + 1)
        is_open = beliefs.cost_upper * bias[:, None] <= (self._money()[1] - needed)[:, None]
        # Bills come late, and a price that is wrong shows late: what is in flight may exceed the pace by so much only.
        burst = BURST * self._unit * max(self.horizon or 0, LEAST_HORIZON)
        room = self._pace() * (self._flying + 1) + burst - bias * self._flying_usd
        is_open &= BURST_CALLS * beliefs.cost_upper * bias[:, None] <= room[:, None]
        if self._most is not None:
            least = self._most[np.arange(len(cheapest)), beliefs.cost_hat.argmin(axis=1)]
            is_open &= self._most <= (self.ledger.free_usd - least * (self._flying + 1))[:, None]
        is_open |= beliefs.cost_hat == cheapest[:, None]
        if self._most is not None:
            fits = to_nano(self._most) <= self.ledger.free[:, None]
            # Where nothing that is open fits, the cheapest that does; where nothing does, all: the request is shed.
            thrifty = np.where(fits, beliefs.cost_hat, np.inf)
            is_open &= fits
            is_open |= thrifty == thrifty.min(axis=1, keepdims=True)
        is_open |= ~self._pays[:, None]
        return is_open

    def afforded(self, model: Ints) -> Ints:
        """Return the models to be called, (n_run,): ``SHED`` where the most that the call can cost is not free."""
        if self._most is None:
            return model
        fits = to_nano(self._most)[np.arange(len(model)), model] <= self.ledger.free
        return np.where(fits | ~self._pays, model, SHED)

    def reserve(self, beliefs: Estimates, model: Ints) -> Ints:
        """Set money aside for the calls just decided; return what is held, (n_run,) nano-dollars."""
        self._decided += 1
        if not self.on:
            return np.zeros(len(model), dtype=np.int64)
        if self.hurries:
            self.late_pace.start(model)
        own = (np.arange(len(model)), model)
        most = beliefs.cost_upper[own] * self._caution() if self._most is None else self._most[own]
        upper = np.where(model >= 0, most, 0.0)
        self._flying += model >= 0
        self._flying_usd += np.where(model >= 0, beliefs.cost_hat[own], 0.0)
        return self.ledger.reserve(np.where(self._pays, upper, 0.0))

    def settle_late(self, run: Ints, model: Ints, requests: Estimates, late: Floats) -> None:
        """Learn from finished calls how late models are: all (n,); ``requests`` are those that were decided on."""
        predicted = requests.p_late[np.arange(len(run)), model]
        self.late_pace.end(run, requests.domain, model, predicted, late)

    def settle(self, run: Ints, held: Ints, predicted: Floats, cost_usd: Floats, late: Floats) -> None:
        """Replace reservations of finished calls by what they cost, and step the duals.

        Parameters
        ----------
        run, held, predicted, cost_usd, late : (n,)
            Run, nano-dollars held, predicted mean cost and cost in USD, and lateness (0 or 1) of each call.
        """
        pays, hurries = self._pays[run], self._hurries[run]
        self.ledger.settle(run, held, np.where(pays, cost_usd, 0.0))
        self._bills *= (FADE ** np.bincount(run, minlength=len(self._unit)))[:, None]
        for k, usd in enumerate((cost_usd, predicted)):
            np.add.at(self._bills[:, k], run, usd)
            np.add.at(self._bills_ever[:, k], run, usd)
        np.add.at(self._flying, run, -1.0)
        np.add.at(self._flying_usd, run, -predicted)
        pace = self._pace()
        money, time = self.eta * COST_SCALE, self.eta * LATE_SCALE * self._share[run]
        np.add.at(self.mu_cost, run, np.where(pays, money * (cost_usd / pace[run] - 1.0), 0.0))
        np.add.at(self.mu_late, run, np.where(hurries, time * (late / self._share[run] - 1.0), 0.0))
        np.maximum(self.mu_cost, 0.0, out=self.mu_cost)
        np.maximum(self.mu_late, 0.0, out=self.mu_late)


def _ratio(bills: Floats, unit: Floats) -> Floats:
    """Return paid / predicted, shrunk towards 1 by ``TRUSTED``; columns of ``bills`` are the two sums."""
    return np.clip((bills[:, 0] + TRUSTED * unit) / (bills[:, 1] + TRUSTED * unit), LEAST_RATIO, MOST_RATIO)
