"""Runs over the same requests, when their feedback comes, and what happened in them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.core.rng import keyed_uniform
from dacr.types import Floats, Keys

DEPENDS = ("none", "quality", "quality_reversed")
"""What the probability of a missing rating may depend on."""


def p_missing(quality: Any, p_miss: float, depends_on: int) -> Any:
    """Return the probability that an answer goes unrated; ``depends_on`` is a place in :data:`DEPENDS`."""
    if depends_on == 1:
        return np.minimum(1.0, 2 * p_miss * (1 - quality))
    if depends_on == 2:
        return np.minimum(1.0, 2 * p_miss * quality)
    return p_miss


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
        return np.zeros_like(quality) + p_missing(quality, *self.rule[2:])

    @property
    def rule(self) -> tuple[int, float, float, int]:
        """The same for kernels: delay in decisions and in seconds (NaN for none), p_miss, what it depends on."""
        seconds = np.nan if self.delay_s is None else float(self.delay_s)
        return self.delay, seconds, float(self.p_miss), DEPENDS.index(self.miss_depends_on)

    def draws(self, key: Keys, seed: Keys | int) -> Floats:
        """Return a uniform draw per request: it is rated where the draw is at least ``p_missing``.

        A draw belongs to request and seed, so that all routers get the same feedback.
        """
        return keyed_uniform(key, 1, seed)[:, 0]
