"""What a router's confidence in its answers is worth: metrics of :mod:`dacr.metrics.selective`."""

from __future__ import annotations

from functools import partial

from dacr.metrics.metric import metric
from dacr.metrics.selective import area, quality_at, risk_coverage
from dacr.types import Floats


class _Curve:
    """The curve of the last run that was asked about: its metrics are asked one after the other, and share a sort."""

    run: tuple[Floats, Floats] | None = None
    risk: Floats

    def __call__(self, confidence: Floats, quality: Floats) -> Floats:
        if self.run is None or self.run[0] is not confidence or self.run[1] is not quality:
            self.run, self.risk = (confidence, quality), risk_coverage(confidence, quality)[1]
        return self.risk


_curve = _Curve()


@metric("aurc", "p_hat", "quality")
def aurc(confidence: Floats, quality: Floats) -> float:
    """Area under the risk-coverage curve."""
    return area(_curve(confidence, quality))


def quality_of_the_surest(confidence: Floats, quality: Floats, coverage: float) -> float:
    """Mean quality of the share of answers of the highest confidence."""
    return quality_at(_curve(confidence, quality), coverage)


for _share in (80, 90, 95):
    metric(f"quality_at_{_share}", "p_hat", "quality")(partial(quality_of_the_surest, coverage=_share / 100))
