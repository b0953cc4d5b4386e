"""Budgets: shadow prices that pace spending and lateness along the stream."""

from __future__ import annotations

import numpy as np

from dacr.types import Estimates, Floats, Ints


class Pacer:
    """Primal-dual pacing of mean cost and late share, for ``n_run`` parallel runs.

        mu_c <- [mu_c + eta (c_t / B_t - 1)]+,      price of a dollar     mu_c / B,
        mu_l <- [mu_l + eta (late_t / delta - 1)]+,  price of a late answer mu_l / delta,

    with B_t = (money left) / (requests left), B at the start. Steps are normalised by the target and
    not clipped. Money is reserved at the decision (an upper quantile of the predicted cost) and settled
    when the call ends, when the duals step. A budget of infinity is off and its price stays 0.
    References: dual mirror descent for online allocation, Balseiro, Lu and Mirrokni 2023,
    doi:10.1287/opre.2021.2242; adaptive pacing, Balseiro and Gur 2019, doi:10.1287/mnsc.2018.3174.

    Parameters
    ----------
    budget_cost : (n_run,) float, USD per request
    budget_late : (n_run,) float, share of late answers
    horizon : int
        Number of requests that will come.
    eta : float
        Step size of the duals.

    Attributes
    ----------
    on : bool
        Whether any run has a budget.
    """

    def __init__(self, budget_cost: Floats, budget_late: Floats, horizon: int, eta: float = 0.05) -> None:
        self.budget_cost = np.asarray(budget_cost, dtype=float)
        self.budget_late = np.asarray(budget_late, dtype=float)
        self.eta = eta
        self.mu_cost = np.zeros(len(self.budget_cost))
        self.mu_late = np.zeros(len(self.budget_cost))
        self._left = self.budget_cost * horizon
        self._horizon = horizon
        self._decided = 0
        self._pays = np.isfinite(self.budget_cost)
        self._hurries = np.isfinite(self.budget_late)
        self.on = bool(self._pays.any() or self._hurries.any())

    def prices(self) -> tuple[Floats, Floats]:
        """Return the prices of a dollar and of a late answer, each (n_run, 1), in quality."""
        if not self.on:
            return self.mu_cost[:, None], self.mu_late[:, None]
        cost = np.where(self._pays, self.mu_cost / np.where(self._pays, self.budget_cost, 1.0), 0.0)
        late = np.where(self._hurries, self.mu_late / np.where(self._hurries, self.budget_late, 1.0), 0.0)
        return cost[:, None], late[:, None]

    def reserve(self, beliefs: Estimates, model: Ints) -> Floats:
        """Set money aside for the calls just decided; return how much, (n_run,) USD."""
        held: Floats = np.where(model >= 0, beliefs.cost_upper[np.arange(len(model)), model], 0.0)
        self._left = self._left - held
        self._decided += 1
        return held

    def settle(self, run: Ints, held: Floats, cost_usd: Floats, late: Floats) -> None:
        """Replace reservations of finished calls by what they cost, and step the duals."""
        np.add.at(self._left, run, held - cost_usd)
        left = np.maximum(self._left, 1e-3 * self.budget_cost) / max(self._horizon - self._decided, 1)
        pays = self._pays[run]
        pace = np.where(pays, left[run], 1.0)
        step = np.where(pays, self.eta * (cost_usd / pace - 1.0), 0.0)
        np.add.at(self.mu_cost, run, step)
        hurries = self._hurries[run]
        share = np.where(hurries, self.budget_late[run], 1.0)
        np.add.at(self.mu_late, run, np.where(hurries, self.eta * (late / share - 1.0), 0.0))
        np.maximum(self.mu_cost, 0.0, out=self.mu_cost)
        np.maximum(self.mu_late, 0.0, out=self.mu_late)
