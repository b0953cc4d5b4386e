"""Predict, then optimise: the value of a model is its predicted quality less what it costs."""

from typing import ClassVar

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Reference, Router
from dacr.types import Estimates, Floats, Outcomes


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
        return requests.p - self.lambda_cost * requests.cost_hat - self.lambda_late * requests.p_late


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
class OracleRouter(Reference, PredictOptimizeRouter):
    """The same rule on the truth: the upper bound for a choice per query. A reference, never a rival."""

    calibrator = "identity"
    takes_plans = False


@routers.register("domain_oracle")
class DomainOracleRouter(Reference, PredictOptimizeRouter):
    """The best single model of each domain in hindsight, at these prices. A reference, never a rival.

    It is handed the truth of the whole test part before the first decision, and averages it within domains.
    """

    calibrator = "identity"
    whole_stream = True
    takes_plans = False

    _foreseen: tuple[Floats, ...] | None = None

    def foresee(self, requests: Estimates, truth: Outcomes) -> None:
        """Average the truth of the whole test part within domains."""
        self._foreseen = _domain_means(requests)

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return each domain's means in place of each request's truth."""
        means = _domain_means(requests) if self._foreseen is None else self._foreseen
        p, cost_hat, p_late = (mean[requests.domain + 1] for mean in means)
        return requests.with_(p=p, cost_hat=cost_hat, p_late=p_late)

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean true value of each model in the request's domain."""
        return super().scores(self.beliefs(requests))


def _domain_means(requests: Estimates) -> tuple[Floats, ...]:
    """Return mean quality, cost and lateness of each model in each domain: (1 + n_domain, n_model) each."""
    code, n_domain = requests.domain + 1, len(requests.domains) + 1  # The first row is for requests without a label.
    size = np.maximum(np.bincount(code, minlength=n_domain), 1)[:, None]

    def mean(values: Floats) -> Floats:
        sums = [np.bincount(code, weights=column, minlength=n_domain) for column in values.T]
        return np.column_stack(sums) / size

    return mean(requests.p), mean(requests.cost_hat), mean(requests.p_late)


@routers.register("oracle_plans")
class OraclePlansRouter(OracleRouter):
    """The oracle with plans among its arms. A reference, never a rival."""

    takes_plans = True
    needs_plans = True


@routers.register("domain_oracle_plans")
class DomainOraclePlansRouter(DomainOracleRouter):
    """The best arm of each domain in hindsight, plans among them. A reference, never a rival."""

    takes_plans = True
    needs_plans = True
