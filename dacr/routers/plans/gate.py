"""Ask two models; where they agree their answer is shipped, else a third is asked."""

from __future__ import annotations

import numpy as np

from dacr.core.registry import plans
from dacr.routers.plans.base import STOP, Plan, Replies
from dacr.types import Bools, Ints


@plans.register("gate")
class Gate(Plan):
    """gate(a, b > c): a and b at once; the answer that they share, else c's.

    Agreement of models as a sign of a right answer: Yue et al. 2024 (arXiv 2310.03094) for samples of one model,
    Kolawole et al. 2024 (arXiv 2407.02348) for cascades of ensembles.
    """

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask both probes, then the fallback where they differ."""
        agree, fell_back = replies.same(0, 1), replies.asked[:, 2]
        ask = np.zeros_like(replies.asked)
        started = replies.asked[:, 0]
        ask[:, :2] = ~started[:, None]
        ask[:, 2] = started & ~agree & ~fell_back
        ship = np.where(fell_back, 2, np.where(agree, self.first_of(0, 1), STOP))
        return ask, ship
