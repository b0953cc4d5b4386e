"""Ask three models; an answer that two of them give is shipped, else a fourth is asked."""

from __future__ import annotations

import numpy as np

from dacr.core.registry import plans
from dacr.routers.plans.base import STOP, Plan, Replies
from dacr.types import Bools, Ints

PAIRS = ((0, 1), (0, 2), (1, 2))


@plans.register("majority")
class Majority(Plan):
    """majority(a, b, c > d): a, b and c at once; an answer that at least two share, else d's.

    Self-consistency over models instead of samples (Wang et al. 2023, arXiv 2203.11171). It may be named in a file
    of plans, and is never chosen by itself: gates did as well for less on every data set that was measured.
    """

    n_probe = 3
    is_chosen = False

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask all probes, then the fallback where no two agree."""
        started, fell_back = replies.asked[:, 0], replies.asked[:, 3]
        ship = np.where(fell_back, 3, STOP)
        for one, other in sorted(PAIRS, key=lambda pair: -list(self.better).index(self.first_of(*pair))):
            ship = np.where(replies.same(one, other) & ~fell_back, self.first_of(one, other), ship)
        ask = np.zeros_like(replies.asked)
        ask[:, :3] = ~started[:, None]
        ask[:, 3] = started & (ship == STOP)
        return ask, ship
