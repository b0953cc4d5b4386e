"""Isotonic regression."""

from __future__ import annotations

from typing import ClassVar

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.types import Floats


@calibrators.register("isotonic")
class Isotonic(Calibrator):
    """p -> the best non-decreasing step function of p (Zadrozny and Elkan 2002); flat outside its range."""

    monotone: ClassVar[bool] = True

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        from sklearn.isotonic import IsotonicRegression  # here: it takes most of a second

        self.curve_ = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y)

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return self.curve_.predict(p)
