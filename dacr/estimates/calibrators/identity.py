"""No calibration at all: the raw prediction, for comparison."""

from __future__ import annotations

from typing import ClassVar

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.types import Floats


@calibrators.register("identity")
class Identity(Calibrator):
    """Return p as it is."""

    monotone: ClassVar[bool] = True

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        pass

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        return p.copy()
