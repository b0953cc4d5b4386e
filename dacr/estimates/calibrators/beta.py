"""Beta calibration."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import CLIP, Calibrator, Features, Names, logits, smoothed_rate
from dacr.estimates.calibrators.newton import logistic
from dacr.types import Floats


@calibrators.register("beta")
class Beta(Calibrator):
    """p -> sigma(a log p - b log(1 - p) + c), a, b >= 0 (Kull, Silva Filho and Flach 2017).

    As its authors do, a coefficient that comes out negative is set to 0 and the rest is fitted again.

    Parameters
    ----------
    prior_sd : float
        Sd of the priors a, b ~ N(1, prior_sd^2), c ~ N(., prior_sd^2).
    """

    monotone: ClassVar[bool] = True

    def __init__(self, *, prior_sd: float = 10.0) -> None:
        self.prior_sd = prior_sd

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        columns = _columns(p)
        centre = columns.mean(axis=0)
        centred = np.column_stack([columns - centre, np.ones(len(p))])
        mean = np.array([1.0, 1.0, float(logits(np.array([smoothed_rate(y)]))[0])])
        weights = np.zeros(3)
        keep = np.ones(3, dtype=bool)
        while True:
            weights[:] = 0.0
            weights[keep] = logistic(centred[:, keep], y, mean[keep], np.full(int(keep.sum()), self.prior_sd))
            negative = weights[:2] < 0
            if not negative.any():
                break
            keep[int(np.argmin(weights[:2]))] = False
        self.a_, self.b_ = float(weights[0]), float(weights[1])
        self.c_ = float(weights[2] - weights[:2] @ centre)

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return expit(_columns(p) @ np.array([self.a_, self.b_]) + self.c_)


def _columns(p: Floats) -> Floats:
    inside = np.clip(p, CLIP, 1 - CLIP)
    return np.column_stack([np.log(inside), -np.log1p(-inside)])
