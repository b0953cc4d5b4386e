"""The price of money that recent requests imply: the dual optimum on a window of them."""

from __future__ import annotations

import numpy as np

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
            # Model first: the search below goes model by model, over contiguous memory.
            self._value = np.zeros((value.shape[1], self.window, len(value)))
            self._cost = np.zeros_like(self._value)
        slot = self._seen % self.window
        self._value[:, slot], self._cost[:, slot] = value.T, cost.T
        self._seen += 1
        if self._seen % self.every == 0 or self._seen in (1, 2, 4):
            known = min(self._seen, self.window)
            self.price = np.where(solve_for, self._solve(self._value[:, :known], self._cost[:, :known], pace), 0.0)

    def _solve(self, value: Floats, cost: Floats, pace: Floats) -> Floats:
        """Bisect the price, in quality per USD, on a log scale: (n_run,)."""
        low, high = np.full(len(pace), np.log(1e-2)), np.full(len(pace), np.log(1e7))
        free = _mean_cost(value, cost, np.zeros(len(pace))) <= pace
        for _ in range(18):
            middle = (low + high) / 2
            too_dear = _mean_cost(value, cost, np.exp(middle)) > pace
            low, high = np.where(too_dear, middle, low), np.where(too_dear, high, middle)
        return np.where(free, 0.0, np.exp(high))


def _mean_cost(value: Floats, cost: Floats, price: Floats) -> Floats:
    """Return the mean cost of the best choices at a price for each run; arrays are (n_model, window, n_run)."""
    best = value[0] - price * cost[0]
    chosen = cost[0].copy()
    for own_value, own_cost in zip(value[1:], cost[1:], strict=True):
        net = own_value - price * own_cost
        np.copyto(chosen, own_cost, where=net > best)
        np.maximum(best, net, out=best)
    return chosen.mean(axis=0)
