"""The price of money that recent requests imply: the dual optimum on a window of them."""

from __future__ import annotations

from collections.abc import Callable

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

    def watch(self, value: Floats, cost: Floats, pace: Callable[[], Floats], solve_for: Bools) -> None:
        """Remember a request of each run, and solve again where it is time.

        Parameters
        ----------
        value, cost : (n_run, n_model) float
            Values in quality, predicted mean costs in USD.
        pace : callable
            Returns what may be spent per request from here on, (n_run,) USD; asked where it is time.
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
            _solve(self._value, self._cost, min(self._seen, self.window), pace(), solve_for, self.price)


LEAST, MOST, HALVINGS = float(np.log(1e-2)), float(np.log(1e7)), 18
"""Range of logs of prices, in quality per USD, and how often it is halved."""

NEAR = 7
"""So many halvings leave a part of the range around the last price that mostly holds the next one."""


@kernel
def _solve(value: Floats, cost: Floats, known: int, pace: Floats, solve_for: Bools, price: Floats) -> None:
    """Bisect each run's price, in quality per USD, on a log scale; arrays are (n_run, n_model, window)."""
    room = np.empty((2, value.shape[1], known))
    # Each an array of its own: loops over rows of one are put into no vector instructions, for fear that rows overlap.
    best, at_low, at_high, at_middle = np.empty(known), np.empty(known), np.empty(known), np.empty(known)
    for run in range(len(price)):
        last, price[run] = price[run], 0.0
        if not solve_for[run]:
            continue
        own, costs, limit = value[run], cost[run], pace[run]
        low, high, depth = LEAST, MOST, 0
        if last > 0:
            last = np.log(last) - 1e-9  # what was solved is the upper end of its part
            while depth < NEAR:
                middle = (low + high) / 2
                low, high = (middle, high) if middle < last else (low, middle)
                depth += 1
            most = _total_cost(own, costs, known, np.exp(low), best, at_low) / known
            least = _total_cost(own, costs, known, np.exp(high), best, at_high) / known
            if not least <= limit < most:
                low, high, depth = LEAST, MOST, 0
        if depth == 0:
            if _total_cost(own, costs, known, 0.0, best, at_low) / known <= limit:
                continue
            while depth < NEAR:
                middle = (low + high) / 2
                if _total_cost(own, costs, known, np.exp(middle), best, at_middle) / known > limit:
                    low, at_low, at_middle = middle, at_middle, at_low
                else:
                    high, at_high, at_middle = middle, at_middle, at_high
                depth += 1
            if high == MOST:
                _total_cost(own, costs, known, np.exp(high), best, at_high)
        # A request that chooses the same at both ends does so between them: its choice is known.
        n, settled = 0, 0.0
        for i in range(known):
            if at_low[i] == at_high[i]:
                settled += at_low[i]
            else:
                for m in range(len(own)):
                    room[0, m, n], room[1, m, n] = own[m, i], costs[m, i]
                n += 1
        while depth < HALVINGS:
            middle = (low + high) / 2
            total = settled + _total_cost(room[0], room[1], n, np.exp(middle), best, at_middle)
            low, high = (middle, high) if total / known > limit else (low, middle)
            depth += 1
        price[run] = np.exp(high)


@kernel
def _total_cost(value: Floats, cost: Floats, n: int, price: float, best: Floats, chosen: Floats) -> float:
    """Return what one run's best choices at a price cost, and write each: of n requests, (n_model, window)."""
    for i in range(n):
        best[i], chosen[i] = value[0, i] - price * cost[0, i], cost[0, i]
    for m in range(1, len(value)):
        own_value, own_cost = value[m], cost[m]
        # No branches: a loop that chooses between two numbers is put into vector instructions.
        for i in range(n):
            net = own_value[i] - price * own_cost[i]
            chosen[i] = own_cost[i] if net > best[i] else chosen[i]
            best[i] = max(net, best[i])
    total = 0.0
    for i in range(n):
        total += chosen[i]
    return total
