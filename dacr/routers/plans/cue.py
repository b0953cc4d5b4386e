"""Ask one model; where its answer looks weak another is asked."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import plans
from dacr.estimates.answers.read import UNREAD
from dacr.estimates.features.cues import NAMES
from dacr.routers.plans.base import STOP, Plan, Replies
from dacr.types import Bools, Floats, Ints, Outcomes

LOG_CHARS = NAMES.index("log_chars")
WEAK = [NAMES.index(name) for name in ("empty", "refuses", "hedges")]

FAR = 2.0
"""Standard deviations of log length from which on an answer is far longer than the model's usual ones."""

RIDGE = 10.0
"""Rows' worth of evidence that a cue says nothing."""


@plans.register("cue")
class Cue(Plan):
    r"""cue(a > c): a; where its answer looks weak, c.

    An answer looks weak that could not be read, is empty, refuses, hedges, or is far longer than a's usual ones. What
    going on is worth is learnt from these by ridge regression on training rows,

    .. math:: y = q_c - q_a - \lambda c_c, \qquad \lambda = [q_c - q_a]^+ / (c_c - c_a),

    with the mean qualities and costs in :math:`\lambda`, the price of a dollar at which a and c are worth the same:
    there a plan has to be better than a coin between the two. It goes on where more than 0 is expected.

    Cascades on what can be seen of an answer: Chen, Zaharia and Zou 2023 (FrugalGPT, arXiv 2305.05176). It may be
    named in a file of plans, and is never chosen by itself: on five hold-outs of the embedded benchmark it was never
    among the plans that helped.
    """

    n_probe: ClassVar[int] = 1
    is_chosen: ClassVar[bool] = False
    learns: ClassVar[bool] = True

    # Before any training: on whatever looks weak; nobody knows which length is usual.
    usual_: tuple[float, float] = 0.0, np.inf
    weight_: Floats = np.array([-0.5] + [1.0] * (len(WEAK) + 2))

    def fit(self, outcomes: Outcomes, members: Ints) -> Cue:
        """Learn from cues of the first member's answers when to go on."""
        super().fit(outcomes, members)
        if outcomes.cues is None or outcomes.answer is None:
            return self
        quality, cost = outcomes.quality[:, members], outcomes.cost_usd[:, members]
        better, dearer = (float((own[:, -1] - own[:, 0]).mean()) for own in (quality, cost))
        price = max(better, 0.0) / max(dearer, 1e-12)
        chars = outcomes.cues[:, members[0], LOG_CHARS]
        self.usual_ = float(chars.mean()), float(chars.std())
        x = self._look(outcomes.cues[:, members[0]], outcomes.answer[:, members[0]])
        y = self._worth(quality, cost, outcomes.answer[:, members], price)
        penalty = np.diag([0.0] + [RIDGE] * (x.shape[1] - 1))
        self.weight_ = np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y), dtype=np.float64)
        return self

    def _look(self, cues: NDArray[np.float32], answer: Ints) -> Floats:
        """Return a constant, and what is weak about answers: (n, 2 + len(WEAK) + 1), all 0 or 1."""
        mean, sd = self.usual_
        long = cues[:, LOG_CHARS] > mean + FAR * sd
        return np.column_stack([np.ones(len(cues)), answer == UNREAD, cues[:, WEAK] > 0.5, long]).astype(np.float64)

    def _worth(self, quality: Floats, cost: Floats, answer: Ints, price: float) -> Floats:
        """Return what going on was worth on training rows; all (n, n_member)."""
        return quality[:, -1] - quality[:, 0] - price * cost[:, -1]

    def weak(self, replies: Replies) -> Bools:
        """Say where the first member's answer is such that going on is worth its money: (n,)."""
        none = np.zeros((len(replies.answer), len(NAMES)), dtype=np.float32)
        return self._look(none if replies.cues is None else replies.cues[:, 0], replies.answer[:, 0]) @ self.weight_ > 0

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask the probe, then the fallback where its answer looks weak."""
        started, fell_back = replies.asked[:, 0], replies.asked[:, 1]
        goes_on = started & ~fell_back & self.weak(replies)
        ask = np.column_stack([~started, goes_on])
        return ask, np.where(fell_back, 1, np.where(started & ~goes_on, 0, STOP))
