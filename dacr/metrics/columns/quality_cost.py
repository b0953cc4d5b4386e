"""What one run of one router gave: quality, cost, latency tail, lateness. One metric is one small function."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.metrics.metric import Remembered, metric, where_known
from dacr.types import Bools, Floats


@metric("n", "quality", abreast=True)
def count(quality: Floats) -> int:
    """Requests."""
    return quality.shape[-1]


@metric("mean_attempts", "attempts", abreast=True)
@metric("slo_violation_rate", "slo_violation", abreast=True)
@metric("mean_cost", "cost", abreast=True)
@metric("mean_quality", "quality", abreast=True)
def mean(values: Floats) -> Any:
    """Plain mean over requests; NaN where one value is NaN, so that a gap is never averaged away."""
    return values.mean(axis=-1) if values.shape[-1] else np.nan


@Remembered
def _known(values: Floats, attempts: NDArray[np.int64]) -> Bools:
    return (attempts > 0) & np.isfinite(values)


@metric("mean_latency_s", "latency_s", "attempts", abreast=True)
def served_mean(values: Floats, attempts: NDArray[np.int64]) -> Any:
    """Mean over the requests that were served; a shed request (no attempt) has no latency."""
    return where_known(mean, _known(values, attempts), values)


_TAIL = (50, 95, 99)


def _quantiles(values: Floats) -> Floats:
    if not values.shape[-1]:
        return np.full(len(_TAIL), np.nan)
    return np.moveaxis(np.quantile(values, np.array(_TAIL) / 100, axis=-1), 0, -1)


@Remembered
def _tail(values: Floats, attempts: NDArray[np.int64]) -> Any:
    return where_known(_quantiles, _known(values, attempts), values)


def served_quantile(values: Floats, attempts: NDArray[np.int64], place: int) -> Any:
    """Quantile over the served requests whose value is known (numpy's default, type 7).

    Read it together with ``latency_coverage``: what is not known is left out, never counted as 0 s.
    """
    return _tail(values, attempts).T[place]


for _place, _level in enumerate(_TAIL):
    _of_place = partial(served_quantile, place=_place)
    metric(f"p{_level}_latency_s", "latency_s", "attempts", abreast=True)(_of_place)


@metric("latency_coverage", "latency_s", "attempts", abreast=True)
def coverage(values: Floats, attempts: NDArray[np.int64]) -> Any:
    """Share of the served requests whose value is known; NaN where none was served."""
    served = np.count_nonzero(attempts > 0, axis=-1)
    known = np.count_nonzero(_known(values, attempts), axis=-1)
    return np.where(served > 0, known / np.maximum(served, 1), np.nan)[()]


@metric("shed_rate", "attempts", abreast=True)
def shed_rate(attempts: NDArray[np.int64]) -> Any:
    """Share of the requests for which no call was made."""
    return np.mean(attempts == 0, axis=-1)
