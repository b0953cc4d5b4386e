"""What a router's confidence in its answers is worth: metrics of :mod:`dacr.metrics.selective`."""

from functools import partial

from dacr.metrics.metric import Remembered, metric
from dacr.metrics.selective import area, quality_at, risk_coverage
from dacr.types import Floats


@Remembered
def _risk(confidence: Floats, quality: Floats) -> Floats:
    return risk_coverage(confidence, quality)[1]


@metric("aurc", "p_hat", "quality")
def aurc(confidence: Floats, quality: Floats) -> float:
    """Area under the risk-coverage curve."""
    return area(_risk(confidence, quality))


def quality_of_the_surest(confidence: Floats, quality: Floats, coverage: float) -> float:
    """Mean quality of the share of answers of the highest confidence."""
    return quality_at(_risk(confidence, quality), coverage)


for _share in (80, 90, 95):
    metric(f"quality_at_{_share}", "p_hat", "quality")(partial(quality_of_the_surest, coverage=_share / 100))
