"""Calls the cheapest of the models that look good enough."""

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Router


@routers.register("newcomer_router")
class GoodEnough(Router):
    """Cheapest model whose predicted quality is at most ``slack`` below the best, less lambda_cost x cost."""

    stackable = ("lambda_cost",)

    def __init__(self, *, lambda_cost: float = 0.0, slack: float = 0.1) -> None:
        self.lambda_cost = lambda_cost
        self.slack = slack

    def scores(self, requests):
        """Return (n, n_model) scores."""
        enough = requests.p >= requests.p.max(axis=1, keepdims=True) - self.slack
        return np.where(enough, 1.0, requests.p) - self.lambda_cost * requests.cost_hat
