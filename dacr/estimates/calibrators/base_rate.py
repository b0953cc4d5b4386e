"""The base rate: the baseline to beat under shift."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names, smoothed_rate
from dacr.types import Floats


@calibrators.register("base_rate")
class BaseRate(Calibrator):
    """Return the model's mean training quality, whatever p and the domain."""

    monotone: ClassVar[bool] = True

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        self.rate_ = smoothed_rate(y)

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return np.full(len(p), self.rate_)
