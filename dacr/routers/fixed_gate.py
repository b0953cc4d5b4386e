"""Agreement by rule of thumb: what plans that are chosen on training have to beat."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Cascade
from dacr.routers.fixed import BestSingleRouter
from dacr.routers.heard import heard
from dacr.routers.plans.base import same_answer
from dacr.types import SHED, Attempts, Estimates, Ints

SHARE = 0.1
"""A probe costs less than this share of the fallback, in training."""


@routers.register("fixed_gate")
class FixedGateRouter(Cascade, BestSingleRouter):
    """One gate by a fixed rule: the fallback is ``best_single``, the probes the two best under a tenth of its price.

    The answer that both probes give is shipped, else that of the fallback; where fewer than two models are so cheap,
    the fallback alone is asked. Calls are made one after the other.
    """

    draws = False
    needs_plans: ClassVar[bool] = True

    def members(self) -> list[int]:
        """Return the models that are asked, in this order."""
        worth = self.quality_ - self.lambda_cost * self.cost_ - self.lambda_late * self.late_
        last = int(worth.argmax())
        cheap = [int(m) for m in np.argsort(-self.quality_, kind="stable") if self.cost_[m] < SHARE * self.cost_[last]]
        return [*cheap[:2], last] if len(cheap) > 1 else [last]

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Call the probes, then the fallback."""
        members = self.members()
        return np.full(len(requests), members[len(tried)] if len(tried) < len(members) else SHED)

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Keep the better probe's answer where both give it, and the fallback's always."""
        if len(tried) == len(self.members()):
            return np.full(len(requests), len(tried) - 1)
        answer = heard(tried)
        agree = (len(tried) == 2) & same_answer(answer[:, 0], answer[:, -1])
        return np.where(agree, 0, -1)
