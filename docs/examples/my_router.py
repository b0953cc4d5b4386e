"""A router in one file: trust each prediction only half of the way.

Run it beside others, without touching the package:

    python scripts/run_experiment.py --plugin docs/examples/my_router.py --routers half_trust,predict_optimize,zero
"""

from __future__ import annotations

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Router
from dacr.types import Estimates, Floats, Training


@routers.register("half_trust")
class HalfTrustRouter(Router):
    """argmax_m w p_m(x) + (1 - w) mean_m - lambda_cost c_m(x): the prediction, shrunk to the model's mean.

    Parameters
    ----------
    lambda_cost : float, quality per USD
        The experiment plays the router once per value of ``--lambdas``, because it has this argument.
    weight : float in [0, 1]
        w. It becomes the column ``param_weight`` of the results.
    """

    # What may differ between runs that are played at once, without another fit.
    stackable = ("lambda_cost",)

    def __init__(self, *, lambda_cost: float = 0.0, weight: float = 0.5) -> None:
        self.lambda_cost = lambda_cost
        self.weight = weight

    def fit(self, train: Training) -> HalfTrustRouter:
        """Remember each model's mean quality in training."""
        self.mean_: Floats = train.outcomes.quality.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return ``(n, n_model)`` scores in quality; the highest of a row is called."""
        quality = self.weight * requests.p + (1 - self.weight) * self.mean_
        return np.asarray(quality - self.lambda_cost * requests.cost_hat)
