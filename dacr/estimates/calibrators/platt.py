"""Platt scaling, and the same map fitted on two other kinds of training predictions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, FittedOn, Names, logits, smoothed_rate
from dacr.estimates.calibrators.newton import logistic
from dacr.types import Floats


@calibrators.register("platt")
class Platt(Calibrator):
    """p -> sigma(a logit p + b), fitted by cross-entropy (Platt 1999).

    The slope is free. Where it comes out negative the map inverts the ranking: ``a_`` tells.

    Parameters
    ----------
    prior_sd : float
        Sd of the priors a ~ N(1, prior_sd^2) and b ~ N(logit base rate, prior_sd^2): weak, so that the
        fit is finite where one class is missing.
    """

    def __init__(self, *, prior_sd: float = 10.0) -> None:
        self.prior_sd = prior_sd

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        z = logits(p)
        base = float(logits(np.array([smoothed_rate(y)]))[0])
        # Centred, so that the slope's prior does not pull at the base rate.
        self.centre_ = float(z.mean())
        columns = np.column_stack([z - self.centre_, np.ones_like(z)])
        a, b = logistic(columns, y, np.array([1.0, base]), np.full(2, self.prior_sd))
        self.a_ = float(a)
        self.b_ = float(b - a * self.centre_)

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return expit(self.a_ * logits(p) + self.b_)


@calibrators.register("platt_insample")
class PlattInSample(Platt):
    """Platt scaling fitted on predictions for rows that the predictor was fitted on: what not to do."""

    fitted_on: ClassVar[FittedOn] = "insample"


@calibrators.register("shift")
class Shift(Platt):
    """Platt scaling fitted on simulated shift: predictions for domains that the predictor did not see."""

    fitted_on: ClassVar[FittedOn] = "lodo"
