"""Runs over the same requests, when their feedback comes, and what happened in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dacr.rng import keyed_uniform
from dacr.types import Floats, Ints, Keys


@dataclass(frozen=True)
class FeedbackPlan:
    """When and whether the quality of an answer is told.

    Attributes
    ----------
    delay : int
        Feedback on decision t is due just before decision t + 1 + delay, whatever the latency.
    p_miss : float
        Probability that a rating never comes.
    delay_s : float or None
        The rating comes this many stream seconds after the answer; the later of both delays counts.
    miss_depends_on : {"none", "quality", "quality_reversed"}
        ``quality``: an answer of quality q goes unrated with probability min(1, 2 p_miss (1 - q)), so bad
        answers are rated less; ``quality_reversed``: min(1, 2 p_miss q), so good ones are.
    """

    delay: int = 0
    p_miss: float = 0.0
    delay_s: float | None = None
    miss_depends_on: str = "none"

    def p_missing(self, quality: Floats) -> Floats:
        """Return the probability that each answer goes unrated, shaped as ``quality``."""
        if self.miss_depends_on == "quality":
            return np.minimum(1.0, 2 * self.p_miss * (1 - quality))
        if self.miss_depends_on == "quality_reversed":
            return np.minimum(1.0, 2 * self.p_miss * quality)
        return np.full_like(quality, self.p_miss)

    def draws(self, key: Keys, seed: Keys | int) -> Floats:
        """Return a uniform draw per request: it is rated where the draw is at least ``p_missing``.

        A draw belongs to request and seed, so that all routers get the same feedback.
        """
        return keyed_uniform(key, 1, seed)[:, 0]


@dataclass(frozen=True)
class Runs:
    """Independent runs over the same requests.

    Attributes
    ----------
    order : (n_run, n) int
        Row of the request at each position of a run's stream.
    arrival_s : (n,) float
        Arrival of each position, ascending: the slots are the same in every run, who fills them differs.
    seed : tuple of int
        Name of each run's randomness.
    """

    order: Ints
    arrival_s: Floats
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Played:
    """What happened: every array is (n_run, n), by position in the stream.

    ``model`` is the model whose answer was kept, ``SHED`` where none was; cost and latency are sums
    over all attempts; quality is that of the kept answer, 0 if none. ``p_hat``, ``cost_hat`` and
    ``p_late`` are what the router believed about the kept model when it decided. ``price_cost`` (quality per
    USD) and ``price_late`` (quality) are the arena's shadow prices, where a budget is enforced.

    ``p_before`` and ``p_after``, where they were recorded, are what the router believed of every model before
    the decision about each request, and after the last one: (n_run, n, n_model), by row of the table.
    """

    row: Ints
    model: Ints
    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    attempts: Ints
    propensity: Floats
    p_hat: Floats
    cost_hat: Floats
    p_late: Floats
    price_cost: Floats | None = None
    price_late: Floats | None = None
    p_before: NDArray[np.float32] | None = None
    p_after: NDArray[np.float32] | None = None
