"""Ask one model; where its answer looks weak, a second opinion; where the two differ, a third model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dacr.core.registry import plans
from dacr.routers.plans.base import STOP, Replies, same_answer
from dacr.routers.plans.cue import Cue
from dacr.types import Bools, Floats, Ints


@plans.register("cue_gate")
class CueGate(Cue):
    """cue_gate(a, b > c): a; where its answer looks weak, b; the answer that they share, else c's.

    As :class:`~dacr.routers.plans.cue.Cue`, with what b's answer and the gate behind it are worth in place of c's. On
    hold-outs of the embedded benchmark it was worth nothing certain beside gates, for four times the candidates.
    """

    n_probe: ClassVar[int] = 2

    def _worth(self, quality: Floats, cost: Floats, answer: Ints, price: float) -> Floats:
        agree = same_answer(answer[:, 0], answer[:, 1])
        shipped = np.where(agree, quality[:, self.first_of(0, 1)], quality[:, 2])
        return shipped - quality[:, 0] - price * (cost[:, 1] + np.where(agree, 0.0, cost[:, 2]))

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask a, then b where a's answer looks weak, then c where the two differ."""
        first, second, fell_back = replies.asked.T
        doubted = first & ~second & self.weak(replies)
        agree = second & replies.same(0, 1)
        ask = np.column_stack([~first, doubted, second & ~agree & ~fell_back])
        at_once = np.where(first & ~second & ~doubted, 0, STOP)
        return ask, np.where(fell_back, 2, np.where(agree, self.first_of(0, 1), at_once))
