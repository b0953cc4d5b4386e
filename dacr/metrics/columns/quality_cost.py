"""What one run of one router gave: quality, cost, latency tail, lateness. One metric is one small function."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from dacr.metrics.metric import Remembered, metric
from dacr.types import Floats


@metric("n", "quality")
def count(quality: Floats) -> int:
    """Requests."""
    return len(quality)


@metric("mean_attempts", "attempts")
@metric("slo_violation_rate", "slo_violation")
@metric("mean_cost", "cost")
@metric("mean_quality", "quality")
def mean(values: Floats) -> float:
    """Plain mean over requests; NaN where one value is NaN, so that a gap is never averaged away."""
    return float(values.mean()) if len(values) else float("nan")


@Remembered
def _known(values: Floats, attempts: NDArray[np.int64]) -> Floats:
    known = (attempts > 0) & np.isfinite(values)
    return values if known.all() else values[known]


@metric("mean_latency_s", "latency_s", "attempts")
def served_mean(values: Floats, attempts: NDArray[np.int64]) -> float:
    """Mean over the requests that were served; a shed request (no attempt) has no latency."""
    return mean(_known(values, attempts))


_TAIL = (50, 95, 99)


@Remembered
def _tail(values: Floats, attempts: NDArray[np.int64]) -> Floats:
    known = _known(values, attempts)
    return np.quantile(known, np.array(_TAIL) / 100) if len(known) else np.full(len(_TAIL), np.nan)


def served_quantile(values: Floats, attempts: NDArray[np.int64], place: int) -> float:
    """Quantile over the served requests whose value is known (numpy's default, type 7).

    Read it together with ``latency_coverage``: what is not known is left out, never counted as 0 s.
    """
    return float(_tail(values, attempts)[place])


for _place, _level in enumerate(_TAIL):
    metric(f"p{_level}_latency_s", "latency_s", "attempts")(partial(served_quantile, place=_place))


@metric("latency_coverage", "latency_s", "attempts")
def coverage(values: Floats, attempts: NDArray[np.int64]) -> float:
    """Share of the served requests whose value is known; NaN where none was served."""
    served = np.count_nonzero(attempts > 0)
    return len(_known(values, attempts)) / served if served else float("nan")


@metric("shed_rate", "attempts")
def shed_rate(attempts: NDArray[np.int64]) -> float:
    """Share of the requests for which no call was made."""
    return float(np.mean(attempts == 0))
