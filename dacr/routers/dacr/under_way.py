"""Calls whose ratings have not come yet: how many there are, and how many of them will be rated."""

from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Floats, Ints

USUAL_LAG, LAG_MEMORY = 10.0, 0.9
"""Decisions from a call to its rating until ratings have told, and how much of what was known each of them leaves."""

RATED, RATED_OF = 7.0, 10.0
"""Before any rating is due, so many of so many calls are taken to be rated."""


class UnderWay:
    """Counts of calls and ratings for ``n_run`` parallel runs.

    Parameters
    ----------
    n_run : int
    shape : (n_domain + 1, n_arm)
    """

    def __init__(self, n_run: int, shape: tuple[int, int]) -> None:
        self._calls, self._ratings = np.zeros((2, n_run, *shape))
        self._n_rated = np.zeros(n_run)
        self._lag = np.full(n_run, USUAL_LAG)

    @property
    def state(self) -> tuple[Floats, ...]:
        """All of it, as kernels take it."""
        return self._calls, self._ratings, self._n_rated, self._lag

    def withdraw(self, run: Ints, domain: Ints, arm: Ints) -> None:
        """Forget calls that were not made: no rating of them will come."""
        self._calls[run, domain, arm] -= 1.0


@kernel
def take_ratings(run: Ints, domain: Ints, arm: Ints, lag: Ints, rating: Floats, state: Any) -> None:
    """Count ratings that have come ``lag`` decisions after their calls: all ``(n,)``, NaN is none; runs may repeat."""
    _, ratings, n_rated, usual = state
    count, total = np.zeros(len(usual)), np.zeros(len(usual))
    for i in range(len(run)):
        if not np.isnan(rating[i]):
            ratings[run[i], domain[i], arm[i]] += 1.0
            count[run[i]] += 1.0
            total[run[i]] += lag[i]
    for r in range(len(usual)):
        if count[r] > 0:
            n_rated[r] += count[r]
            usual[r] += (1.0 - LAG_MEMORY ** count[r]) * (total[r] / count[r] - usual[r])


@kernel
def narrow(
    row: Ints, domain: Ints, decided: int, sd: Floats, p: Floats, state: Any, rated: Floats, out: Floats
) -> None:
    """Write the share of calls that are rated sooner or later, and sds once the ratings under way have come.

    Parameters
    ----------
    row : (n_run,) int
        Rows of ``domain``: each run's request.
    decided : int
        Requests so far.
    sd, p : (n_run, n_arm) float
        What is not known of each arm's own logit, and its quality in expectation.
    rated, out : (n_run,) and (n_run, n_arm) float
    """
    calls, ratings, n_rated, usual = state
    for r in range(len(row)):
        d = domain[row[r]]
        # Calls older than a rating's usual lag should have been rated, if they ever are.
        share = min((n_rated[r] + RATED) / (max(decided - 1 - usual[r], 0.0) + RATED_OF), 1.0)
        rated[r] = share
        for m in range(sd.shape[1]):
            expected = max(calls[r, d, m] * share - ratings[r, d, m], 0.0)
            out[r, m] = sd[r, m] / np.sqrt(1 + sd[r, m] * sd[r, m] * p[r, m] * (1 - p[r, m]) * expected)
