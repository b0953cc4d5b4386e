"""The price of money that recent requests imply: the dual optimum on a window of them."""

from __future__ import annotations

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Bools, Floats


class ShadowPrice:
    """Re-solves the dual of "spend at most B on average" on the last ``window`` requests of each run.

    For request i with values v_im and predicted costs c_im, the choice at price x is
    argmax_m v_im - x c_im; its mean cost falls as x rises. The price is the smallest x (to a bisection's
    precision) at which the mean cost is at most the pace B_t. It is 0 where money is no constraint.
    Re-solving as the stream goes follows arXiv 2509.02718 (there once, on a first part of the stream).

    Parameters
    ----------
    n_run : int
    window : int
        Requests remembered.
    every : int
        Requests between two solutions.
    """

    def __init__(self, n_run: int, window: int = 96, every: int = 8) -> None:
        self.window = window
        self.every = every
        self.price = np.zeros(n_run)
        self._seen = 0
        self._value: Floats | None = None
        self._cost: Floats | None = None

    def watch(self, value: Floats, cost: Floats, pace: Floats, solve_for: Bools) -> None:
        """Remember a request of each run, and solve again where it is time.

        Parameters
        ----------
        value, cost : (n_run, n_model) float
            Values in quality, predicted mean costs in USD.
        pace : (n_run,) float
            USD per request that may be spent from here on.
        solve_for : (n_run,) bool
            Runs that have a budget.
        """
        if self._value is None or self._cost is None:
            self._value = np.zeros((*value.shape, self.window))
            self._cost = np.zeros_like(self._value)
        slot = self._seen % self.window
        self._value[:, :, slot], self._cost[:, :, slot] = value, cost
        self._seen += 1
        if self._seen % self.every == 0 or self._seen in (1, 2, 4):
            _solve(self._value, self._cost, min(self._seen, self.window), pace, solve_for, self.price)


@kernel
def _solve(value: Floats, cost: Floats, known: int, pace: Floats, solve_for: Bools, price: Floats) -> None:
    """Bisect each run's price, in quality per USD, on a log scale; arrays are (n_run, n_model, window)."""
    best, chosen = np.empty(known), np.empty(known)
    for run in range(len(price)):
        price[run] = 0.0
        if not solve_for[run] or _mean_cost(value[run], cost[run], 0.0, best, chosen) <= pace[run]:
            continue
        low, high = np.log(1e-2), np.log(1e7)
        for _ in range(18):
            middle = (low + high) / 2
            if _mean_cost(value[run], cost[run], np.exp(middle), best, chosen) > pace[run]:
                low = middle
            else:
                high = middle
        price[run] = np.exp(high)


@kernel
def _mean_cost(value: Floats, cost: Floats, price: float, best: Floats, chosen: Floats) -> float:
    """Return the mean cost of one run's best choices at a price: (n_model, window); the rest is room to work in."""
    known = len(best)
    for i in range(known):
        best[i], chosen[i] = value[0, i] - price * cost[0, i], cost[0, i]
    for m in range(1, len(value)):
        own_value, own_cost = value[m], cost[m]
        # No branches: a loop that chooses between two numbers is put into vector instructions.
        for i in range(known):
            net = own_value[i] - price * own_cost[i]
            chosen[i] = own_cost[i] if net > best[i] else chosen[i]
            best[i] = max(net, best[i])
    total = 0.0
    for i in range(known):
        total += chosen[i]
    return total / known
