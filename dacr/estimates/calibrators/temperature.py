"""Temperature scaling: one number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names, logits
from dacr.estimates.calibrators.newton import logistic
from dacr.types import Floats


@calibrators.register("temperature")
class Temperature(Calibrator):
    """p -> sigma(logit(p) / T), T > 0 (Guo et al. 2017, arXiv 1706.04599).

    It cannot move the base rate: a predictor that is too optimistic everywhere stays so.

    Parameters
    ----------
    prior_sd : float
        Sd of the prior 1 / T ~ N(1, prior_sd^2), cut at 0.
    """

    monotone: ClassVar[bool] = True

    def __init__(self, *, prior_sd: float = 10.0) -> None:
        self.prior_sd = prior_sd

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        slope = logistic(logits(p)[:, None], y, np.ones(1), np.full(1, self.prior_sd))[0]
        self.a_ = max(float(slope), 0.0)
        self.temperature_ = 1.0 / max(self.a_, 1e-12)

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return expit(self.a_ * logits(p))
