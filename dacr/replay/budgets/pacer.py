"""Budgets that hold: shadow prices pace spending and lateness, a ledger refuses what is not affordable."""

from __future__ import annotations

from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.replay.budgets.late_pace import LatePace
from dacr.replay.budgets.purse import Purse, pace_of, settle
from dacr.replay.budgets.shadow_price import ShadowPrice
from dacr.types import Bools, Estimates, Floats, Ints

COST_SCALE = 0.02
"""A cost dual's step of 1 is this much quality: it only corrects the re-solved price."""

LATE_SCALE = 0.02
"""A lateness dual's step of 1 is this much quality times delta: it only corrects the re-solved price."""


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
    fallback : float, optional
        What a request that is left unanswered is worth, where that is a choice: it costs nothing.

    Attributes
    ----------
    ledger : Ledger
        What is granted, held and spent.
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
        fallback: float | None = None,
    ) -> None:
        self.budget_cost = np.asarray(budget_cost, dtype=float)
        self.budget_late = np.asarray(budget_late, dtype=float)
        self.horizon = horizon
        self.eta = eta
        self.fallback = fallback
        self.mu_cost = np.zeros(len(self.budget_cost))
        self.mu_late = np.zeros(len(self.budget_cost))
        self._purse = Purse(self.budget_cost, horizon, most_usd)
        self.ledger = self._purse.ledger
        self._hurries = np.isfinite(self.budget_late)
        self.hurries = bool(self._hurries.any())
        self.on = self._purse.on or self.hurries
        self._share = np.where(self._hurries, self.budget_late, 1.0)
        self.late_pace = LatePace(self.budget_late, horizon)
        self._solved = ShadowPrice(len(self.budget_cost))

    def meet(self, row: Ints) -> None:
        """Note which request each run is about to decide, (n_run,), where the most that a call can cost is known."""
        self._purse.meet(row)

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
        if not self._purse.on:
            return None
        cost = beliefs.cost_hat
        if self.fallback is not None:
            free = np.zeros((len(cost), 1))
            value, cost = np.concatenate([value, free + self.fallback], axis=1), np.concatenate([cost, free], axis=1)
        self._solved.watch(value, cost, self._purse.pace_predicted, self._purse.pays)
        return self.prices()[0]

    def pace_cost(self) -> Floats | None:
        """Return what may be spent per request, in predicted dollars: (n_run,), infinity where no budget acts."""
        purse = self._purse
        return np.where(purse.pays, purse.pace_predicted(), np.inf) if purse.on else None

    def prices(self) -> tuple[Floats, Floats]:
        """Return the prices of a dollar and of a late answer, each (n_run, 1), in quality."""
        money = self._solved.price + self.mu_cost / self._purse.unit
        late = self.late_pace.price + self.mu_late / self._share if self.hurries else self.mu_late
        return money[:, None], late[:, None]

    def open_to(self, beliefs: Estimates) -> Bools | None:
        """Return which models may be called: (n_run, n_model); None where there is no budget."""
        affordable = self._purse.open_to(beliefs) if self._purse.on else None
        if not self.hurries:
            return affordable
        timely = self.late_pace.open_to()
        if affordable is None:
            return timely
        both = affordable & timely
        # Where purse and clock have no model in common, the purse rules.
        return np.where(both.any(axis=1, keepdims=True), both, affordable)

    def afforded(self, model: Ints) -> Ints:
        """Return the models to be called, (n_run,): ``SHED`` where the most that the call can cost is not free."""
        return self._purse.afforded(model)

    def reserve(self, beliefs: Estimates, model: Ints) -> Ints:
        """Set money aside for the calls just decided; return what is held, (n_run,) nano-dollars."""
        if not self.on:
            return np.zeros(len(model), dtype=np.int64)
        if self.hurries:
            self.late_pace.start(model)
        return self._purse.reserve(beliefs, model)

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
        steps = self.eta * COST_SCALE, self.eta * LATE_SCALE
        who = self._purse.pays, self._hurries, self._share
        bills = run, held, predicted, cost_usd, late
        _settle(self._purse.state, self._purse.clock, *who, steps, *bills, self.mu_cost, self.mu_late)


@kernel
def _settle(
    purse: Any,
    clock: Any,
    pays: Bools,
    hurries: Bools,
    share: Floats,
    steps: Any,
    run: Ints,
    held: Ints,
    predicted: Floats,
    cost_usd: Floats,
    late: Floats,
    mu_cost: Floats,
    mu_late: Floats,
) -> None:
    settle(purse, pays, run, held, predicted, cost_usd)
    for i in range(len(run)):
        r = run[i]
        if pays[r]:
            mu_cost[r] += steps[0] * (cost_usd[i] / pace_of(purse, clock, r) - 1.0)
        if hurries[r]:
            mu_late[r] += steps[1] * share[r] * (late[i] / share[r] - 1.0)
    for r in run:
        mu_cost[r], mu_late[r] = max(mu_cost[r], 0.0), max(mu_late[r], 0.0)
