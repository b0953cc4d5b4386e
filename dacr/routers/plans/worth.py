"""What plans are worth beyond single models, less what is luck of their choice."""

from __future__ import annotations

import numpy as np

from dacr.metrics.hull import upper_hull
from dacr.types import Floats, Outcomes


def luck_of_plans(outcomes: Outcomes, n_family: int) -> Floats:
    """Return what is to be taken off the training quality of each plan: (n_plan,).

    Plans are the best of many, on few families of domains. So the quality of a plan is shrunk towards the hull h of
    single models at its cost, q - h(c) counting for K / (K + 1) of itself after K families.
    """
    assert outcomes.paths is not None
    n_model = outcomes.quality.shape[1] - len(outcomes.paths.member)
    cost, quality = outcomes.cost_usd.mean(axis=0), outcomes.quality.mean(axis=0)
    hull = np.interp(cost[n_model:], *upper_hull(cost[:n_model], quality[:n_model]))
    return (quality[n_model:] - hull) / (n_family + 1)
