"""Pacing of late answers: what calls are expected to be late, and the price that keeps their share."""

from __future__ import annotations

import numpy as np

from dacr.replay.budgets.shadow_price import ShadowPrice
from dacr.types import Bools, Estimates, Floats, Ints

PRIOR_CALLS = 4.0
"""The prediction counts as so many calls against what calls of a model (of a domain) really were."""

HORIZON = 200
"""Where no horizon is known, what a run is ahead or behind is made up for within so many requests."""

DOUBT = 0.05
"""Share of a run's late answers that calls in flight to models hardly tried may cost it unforeseen."""


class LatePace:
    """Keeps the late share of ``n_run`` parallel runs at delta.

    A price of lateness moves choices only through what is believed of lateness. Where training has seen no
    late call like those of an unseen domain, P(late) is near 0 for all models, and no price helps. So the arena
    learns from calls that have ended, for every router alike, by how much P(late) was off, and prices p':

        p'_m = p_m + b_{m,d},   b_{m,d} = (sum_{m,d} (late - p) + 4 b_m) / (calls_{m,d} + 4),
                                b_m     =  sum_m (late - p) / (calls_m + 4),

    cut to [0, 1]. (A shift of the logit overshoots: where p is near 0, one late call says almost nothing of its
    size.) The price is the dual optimum on recent requests (:class:`ShadowPrice`): the least at which choices are
    late with a mean p' of at most

        delta_t = (delta n - late so far - expected late of the calls in flight) / requests left.

    Lateness shows only when a call ends; until the first calls have ended, a whole target may be in flight. So while
    sum_m in flight_m / (calls_m + 4), a doubt of one late call in four of a model never tried, reaches 1 + .05 delta n,
    only the model of least p' + (1 + in flight) / (calls + 4) is open: models that look alike share the risk.

    Parameters
    ----------
    share : (n_run,) float
        delta; infinity is off.
    horizon : int or None
        n, the number of requests that will come, as far as is known.
    """

    def __init__(self, share: Floats, horizon: int | None) -> None:
        self.share = np.asarray(share, dtype=float)
        self.horizon = horizon
        self.on = np.isfinite(self.share)
        self._unit = np.where(self.on, self.share, 1.0)
        self._late = np.zeros(len(self.share))
        self._decided = 0
        self._solved = ShadowPrice(len(self.share))
        self._allot(0, 0)

    def _allot(self, n_domain: int, n_model: int) -> None:
        """Make room for sums of late - p and calls by domain and model, calls in flight, and recent p' by model."""
        n_run = len(self.share)
        self._off, self._calls = np.zeros((2, n_run, n_domain + 1, n_model))
        self._off_ever, self._calls_ever, self._flying, self._recent = np.zeros((4, n_run, n_model))

    @property
    def price(self) -> Floats:
        """Price of a late answer in quality, before what the dual corrects: (n_run,)."""
        return self._solved.price

    def see(self, requests: Estimates) -> Floats:
        """Take the requests that are about to be decided, one per run; return p', (n_run, n_model)."""
        if self._decided == 0:
            self._allot(len(requests.domains), len(requests.models))
        self._decided += 1
        run = np.arange(len(self.share))
        self.p_late: Floats = np.clip(requests.p_late + self._bias(run, requests.domain), 0.0, 1.0)
        # The last hundred requests or so, and all of them at first.
        self._recent += (self.p_late - self._recent) / min(self._decided, 100)
        return self.p_late

    def watch(self, value: Floats) -> None:
        """Solve for the price; ``value`` is (n_run, n_model), before the price of lateness."""
        self._solved.watch(value, self.p_late, self.pace, self.on)

    def pace(self) -> Floats:
        """Return the share of late answers that is right from here on: (n_run,)."""
        expected = self._late + (self._flying * self._recent).sum(axis=1)
        left = (self.horizon or 0) - self._decided
        if left > 0:
            pace = (self._unit * (self._decided + left) - expected) / left
        else:
            pace = self._unit + (self._unit * self._decided - expected) / HORIZON
        return np.clip(pace, 0.02 * self._unit, 1.0)

    def open_to(self) -> Bools:
        """Return which models may be called by the requests that were seen: (n_run, n_model)."""
        doubt = 1.0 / (self._calls_ever + PRIOR_CALLS)
        limit = 1.0 + DOUBT * self._unit * max(self.horizon or 0, self._decided)
        doubtful = self.on & ((self._flying * doubt).sum(axis=1) >= limit)
        safest = np.eye(doubt.shape[1], dtype=bool)[(self._recent + doubt * (1.0 + self._flying)).argmin(axis=1)]
        return safest | ~doubtful[:, None]

    def start(self, model: Ints) -> None:
        """Count the call that each run starts; a negative index is none."""
        run = np.flatnonzero((model >= 0) & (self._decided > 0))
        self._flying[run, model[run]] += 1.0

    def end(self, run: Ints, domain: Ints, model: Ints, p_late: Floats, late: Floats) -> None:
        """Learn from finished calls: all (n,); ``p_late`` is what was predicted of them, without p'."""
        np.add.at(self._late, run, late)
        np.add.at(self._flying, (run, model), -1.0)
        for off, calls, where in (
            (self._off, self._calls, (run, domain, model)),
            (self._off_ever, self._calls_ever, (run, model)),
        ):
            np.add.at(off, where, late - p_late)
            np.add.at(calls, where, 1.0)

    def _bias(self, run: Ints, domain: Ints) -> Floats:
        """Return b of some (run, domain) pairs: (n, n_model)."""
        overall = self._off_ever[run] / (self._calls_ever[run] + PRIOR_CALLS)
        return (self._off[run, domain] + PRIOR_CALLS * overall) / (self._calls[run, domain] + PRIOR_CALLS)
