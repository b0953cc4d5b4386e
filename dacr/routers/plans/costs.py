"""What plans are expected to cost, from what their models are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dacr.types import Floats, Ints


@dataclass(frozen=True)
class PlanCosts:
    """Whom plans ask, and how often.

    Attributes
    ----------
    member : (n_plan, depth) int
        Models of each plan; -1 where a plan has fewer.
    call_share : (n_plan, n_model) float
        How often each plan asked each model in training.
    """

    member: Ints
    call_share: Floats

    def beside(self, mean: Floats, upper: Floats) -> tuple[Floats, Floats]:
        """Return the mean and upper costs of models, each (n, n_model), with those of plans behind them.

        A plan costs its calls, each as often as in training; it reserves its longest path, the upper costs of all its
        models.
        """
        longest = [upper[:, own[own >= 0]].sum(axis=1) for own in self.member]
        return np.column_stack([mean, mean @ self.call_share.T]), np.column_stack([upper, *longest])
