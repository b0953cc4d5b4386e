"""Budgets that hold: shadow prices pace spending and lateness, a ledger refuses what is not affordable."""

from __future__ import annotations

import numpy as np

from dacr.ledger import NANO_PER_USD, Ledger
from dacr.types import Bools, Estimates, Floats, Ints


class Pacer:
    """Primal-dual pacing of mean cost and late share, for ``n_run`` parallel runs.

        mu_c <- [mu_c + eta (c_t / B_t - 1)]+,       price of a dollar      mu_c / B,
        mu_l <- [mu_l + eta (late_t / delta - 1)]+,   price of a late answer  mu_l / delta,

    with B_t = (money left) / (requests left). Steps are normalised by the target and not clipped. Where
    the horizon is unknown, or has passed, B_t is the plain B, and money is granted as requests arrive.

    Prices pace; the ledger guards. A model is open to a request only if the upper quantile of its
    predicted cost leaves enough to serve the rest of the horizon with the cheapest model; the model
    that is predicted cheapest is always open. Money is reserved at the decision and settled when the
    call ends, which is also when the duals step.

    References: dual mirror descent, Balseiro, Lu and Mirrokni 2023, doi:10.1287/opre.2021.2242; adaptive
    pacing, Balseiro and Gur 2019, doi:10.1287/mnsc.2018.3174.

    Parameters
    ----------
    budget_cost : (n_run,) float, USD per request; infinity is off
    budget_late : (n_run,) float, share of late answers; infinity is off
    horizon : int or None
        Number of requests that will come, as far as is known; None where it is not.
    eta : float
        Step size of the duals.

    Attributes
    ----------
    on : bool
        Whether any run has a budget.
    mu_cost, mu_late : (n_run,) float
        The duals.
    """

    def __init__(self, budget_cost: Floats, budget_late: Floats, horizon: int | None, eta: float = 0.05) -> None:
        self.budget_cost = np.asarray(budget_cost, dtype=float)
        self.budget_late = np.asarray(budget_late, dtype=float)
        self.horizon = horizon
        self.eta = eta
        self.mu_cost = np.zeros(len(self.budget_cost))
        self.mu_late = np.zeros(len(self.budget_cost))
        self._pays = np.isfinite(self.budget_cost)
        self._hurries = np.isfinite(self.budget_late)
        self.on = bool(self._pays.any() or self._hurries.any())
        self._unit = np.where(self._pays, self.budget_cost, 1.0)
        self._share = np.where(self._hurries, self.budget_late, 1.0)
        self.ledger = Ledger(np.zeros(len(self._unit)))
        self._decided = 0
        self._grant(horizon or 0)
        self._cheapest_sum = np.zeros(len(self._unit))

    def _grant(self, n_request: int) -> None:
        """Make what the ledger grants worth ``n_request`` requests."""
        nano = np.rint(self._unit * n_request * NANO_PER_USD).astype(np.int64)
        self.ledger.granted = np.maximum(self.ledger.granted, nano)

    @property
    def _left(self) -> int:
        """Requests still to come, as far as is known; 0 where it is not."""
        return max((self.horizon or 0) - self._decided, 0)

    def prices(self) -> tuple[Floats, Floats]:
        """Return the prices of a dollar and of a late answer, each (n_run, 1), in quality."""
        if not self.on:
            return self.mu_cost[:, None], self.mu_late[:, None]
        return (self.mu_cost / self._unit)[:, None], (self.mu_late / self._share)[:, None]

    def open_to(self, beliefs: Estimates) -> Bools | None:
        """Return which models may be called: (n_run, n_model); None where there is no cost budget."""
        if not self._pays.any():
            return None
        if self._left == 0:
            self._grant(self._decided + 1)
        cheapest = beliefs.cost_hat.min(axis=1)
        self._cheapest_sum += cheapest
        # Money that the rest needs: the cheapest model's mean predicted cost so far, for each request left.
        needed = max(self._left - 1, 0) * self._cheapest_sum / (self._decided + 1)
        is_open = beliefs.cost_upper <= (self.ledger.free_usd - needed)[:, None]
        is_open |= beliefs.cost_hat == cheapest[:, None]
        is_open |= ~self._pays[:, None]
        return is_open

    def reserve(self, beliefs: Estimates, model: Ints) -> Ints:
        """Set money aside for the calls just decided; return what is held, (n_run,) nano-dollars."""
        self._decided += 1
        if not self.on:
            return np.zeros(len(model), dtype=np.int64)
        upper = np.where(model >= 0, beliefs.cost_upper[np.arange(len(model)), model], 0.0)
        return self.ledger.reserve(np.where(self._pays, upper, 0.0))

    def settle(self, run: Ints, held: Ints, cost_usd: Floats, late: Floats) -> None:
        """Replace reservations of finished calls by what they cost, and step the duals."""
        pays, hurries = self._pays[run], self._hurries[run]
        self.ledger.settle(run, held, np.where(pays, cost_usd, 0.0))
        left = self._left
        pace = np.maximum(self.ledger.free_usd / left, 0.05 * self._unit) if left else self._unit
        step = np.where(pays, self.eta * (cost_usd / pace[run] - 1.0), 0.0)
        np.add.at(self.mu_cost, run, step)
        np.add.at(self.mu_late, run, np.where(hurries, self.eta * (late / self._share[run] - 1.0), 0.0))
        np.maximum(self.mu_cost, 0.0, out=self.mu_cost)
        np.maximum(self.mu_late, 0.0, out=self.mu_late)
