"""Calls whose ratings have not come yet: how many there are, and how many of them will be rated."""

from __future__ import annotations

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

    def start(self, run: Ints, domain: Ints, arm: Ints) -> None:
        """Count calls that were decided on: all ``(n,)``, a run at most once."""
        self._calls[run, domain, arm] += 1.0

    def withdraw(self, run: Ints, domain: Ints, arm: Ints) -> None:
        """Forget calls that were not made: no rating of them will come."""
        self._calls[run, domain, arm] -= 1.0

    def end(self, run: Ints, domain: Ints, arm: Ints, lag: Ints) -> None:
        """Count ratings that have come ``lag`` decisions after their calls: all ``(n,)``; runs may repeat."""
        _take_ratings(run, domain, arm, lag, self._ratings, self._n_rated, self._lag)

    def share_rated(self, decided: int) -> Floats:
        """Return the share of calls that are rated sooner or later, after so many decisions: (n_run,)."""
        # Calls older than a rating's usual lag should have been rated, if they ever are.
        due = np.maximum(decided - 1 - self._lag, 0.0)
        return np.minimum((self._n_rated + RATED) / (due + RATED_OF), 1.0)

    def narrowed(self, domain: Ints, sd: Floats, p: Floats, rated: Floats) -> Floats:
        """Return sds as they will be once the ratings under way have come: (n_run, n_arm), of each run's request.

        Parameters
        ----------
        sd, p : (n_run, n_arm) float
            What is not known of each arm's own logit, and its quality in expectation.
        rated : (n_run,) float
            From :meth:`share_rated`.
        """
        out = np.empty_like(sd)
        _narrow(domain, sd, p, rated, self._calls, self._ratings, out)
        return out


@kernel
def _take_ratings(
    run: Ints, domain: Ints, arm: Ints, lag: Ints, ratings: Floats, n_rated: Floats, usual: Floats
) -> None:
    count, total = np.zeros(len(usual)), np.zeros(len(usual))
    for i in range(len(run)):
        ratings[run[i], domain[i], arm[i]] += 1.0
        count[run[i]] += 1.0
        total[run[i]] += lag[i]
    for r in range(len(usual)):
        if count[r] > 0:
            n_rated[r] += count[r]
            usual[r] += (1.0 - LAG_MEMORY ** count[r]) * (total[r] / count[r] - usual[r])


@kernel
def _narrow(domain: Ints, sd: Floats, p: Floats, rated: Floats, calls: Floats, ratings: Floats, out: Floats) -> None:
    for r in range(len(domain)):
        for m in range(sd.shape[1]):
            expected = max(calls[r, domain[r], m] * rated[r] - ratings[r, domain[r], m], 0.0)
            out[r, m] = sd[r, m] / np.sqrt(1 + sd[r, m] * sd[r, m] * p[r, m] * (1 - p[r, m]) * expected)
