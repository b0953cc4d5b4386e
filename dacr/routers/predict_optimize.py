"""Predict, then optimise: the value of a model is its predicted quality less what it costs."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dacr.registry import routers
from dacr.routers.base import Router, Sweep
from dacr.types import Estimates, Floats


@routers.register("predict_optimize")
class PredictOptimizeRouter(Router):
    """argmax_m p_m(x) - lambda_cost c_m(x) - lambda_late v_m(x), with globally calibrated p.

    p is Platt-calibrated on out-of-fold predictions, c the predicted mean cost, v = P(late). The rule
    is Eq. 9 without the adaptive terms; compare the Predict-then-Optimize routers of arXiv 2403.12031.

    Parameters
    ----------
    lambda_cost : float, quality per USD
    lambda_late : float, quality per late answer
    """

    calibrator: ClassVar[str | None] = "platt"
    stackable = ("lambda_cost", "lambda_late")

    def __init__(self, *, lambda_cost: float = 0.0, lambda_late: float = 0.0) -> None:
        self.lambda_cost = lambda_cost
        self.lambda_late = lambda_late

    def scores(self, requests: Estimates) -> Floats:
        """Return predicted value in units of quality."""
        value: Floats = requests.p - self.lambda_cost * requests.cost_hat - self.lambda_late * requests.p_late
        return value


@routers.register("knn")
class KnnRouter(PredictOptimizeRouter):
    """The same rule on the mean quality of the nearest training questions, uncalibrated (arXiv 2403.12031)."""

    predictor = "knn"
    calibrator = "identity"


@routers.register("joint_ranker")
class JointRankerRouter(PredictOptimizeRouter):
    """The same rule on one low-rank model of all (question, model) pairs, uncalibrated.

    It ranks models by shared directions of difficulty instead of separate fits (compare the matrix
    factorisation router of arXiv 2406.18665, here for many models).
    """

    predictor = "joint"
    calibrator = "identity"


@routers.register("base_rate")
class BaseRateRouter(PredictOptimizeRouter):
    """The same rule on each model's base rate: quality ignores the question, cost and lateness do not."""

    predictor = "base_rate"
    calibrator = "identity"


@routers.register("static")
class StaticRouter(PredictOptimizeRouter):
    """The same rule on the default calibrator: what DACR would do without any feedback."""

    calibrator = None


@routers.register("oracle")
class OracleRouter(PredictOptimizeRouter):
    """The same rule on the truth: the upper bound for a choice per query. A reference, never a rival."""

    calibrator = "identity"
    clairvoyant = True


@routers.register("domain_oracle")
class DomainOracleRouter(PredictOptimizeRouter):
    """The best single model of each domain in hindsight, at these prices. A reference, never a rival.

    It is handed the truth of the whole test part at once and averages it within domains.
    """

    calibrator = "identity"
    clairvoyant = True
    whole_stream = True

    @classmethod
    def budget_setting(cls, sweep: Sweep) -> dict[str, Any] | None:
        """None: a mean over the whole test part can't be walked position by position."""
        return None

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean true value of each model in the request's domain."""
        value = super().scores(requests)
        code = requests.domain - requests.domain.min()
        size = np.bincount(code)
        means = np.stack([np.bincount(code, weights=value[:, m]) for m in range(value.shape[1])], axis=1)
        mean: Floats = (means / np.maximum(size, 1)[:, None])[code]
        return mean
