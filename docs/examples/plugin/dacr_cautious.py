"""A router that prices the upper end of what a call may cost, instead of its mean."""

from __future__ import annotations

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Router
from dacr.types import Estimates, Floats


@routers.register("cautious")
class CautiousRouter(Router):
    """argmax_m p_m(x) - lambda_cost u_m(x), u the upper quantile of the predicted cost.

    Parameters
    ----------
    lambda_cost : float, quality per USD
        The experiment plays the router once per value of ``--lambdas``, because it has this argument.
    """

    stackable = ("lambda_cost",)

    def __init__(self, *, lambda_cost: float = 0.0) -> None:
        self.lambda_cost = lambda_cost

    def scores(self, requests: Estimates) -> Floats:
        """Return ``(n, n_model)`` scores in quality; the highest of a row is called."""
        return np.asarray(requests.p - self.lambda_cost * requests.cost_upper)
