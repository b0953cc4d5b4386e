"""What one run of one policy gave: quality, cost, latency tail, lateness. One metric is one small function.

A metric says its unit, which way is better and which columns of the decisions it reads; its function takes
those columns as arrays and returns one number. :mod:`dacr.metrics.grouped` applies any of them per group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dacr.types import Floats


@dataclass(frozen=True)
class Metric:
    """A number per group of decisions.

    Attributes
    ----------
    name : str
        Column in the result tables.
    unit : str
        For axes and table heads; empty for a share or a count.
    bigger_is_better : bool or None
        None for what is neither.
    columns : tuple of str
        What the function reads, in the order of its arguments.
    function : callable
        Arrays of shape (n,) -> float.
    """

    name: str
    unit: str
    bigger_is_better: bool | None
    columns: tuple[str, ...]
    function: Callable[..., float]


def mean(values: Floats) -> float:
    """Plain mean over requests; NaN where one value is NaN, so that a gap is never averaged away."""
    return float(np.mean(values)) if len(values) else float("nan")


def served_mean(values: Floats, attempts: NDArray[np.int64]) -> float:
    """Mean over the requests that were served; a shed request (no attempt) has no latency."""
    return mean(_known(values, attempts))


def served_quantile(values: Floats, attempts: NDArray[np.int64], level: float) -> float:
    """Quantile over the served requests whose value is known (numpy's default, type 7).

    Read it together with ``latency_coverage``: what is not known is left out, never counted as 0 s.
    """
    known = _known(values, attempts)
    return float(np.quantile(known, level)) if len(known) else float("nan")


def coverage(values: Floats, attempts: NDArray[np.int64]) -> float:
    """Share of the served requests whose value is known; NaN where none was served."""
    served = attempts > 0
    return float(np.isfinite(values[served]).mean()) if served.any() else float("nan")


def shed_rate(attempts: NDArray[np.int64]) -> float:
    """Share of the requests for which no call was made."""
    return float(np.mean(attempts == 0))


def _known(values: Floats, attempts: NDArray[np.int64]) -> Floats:
    known: Floats = values[(attempts > 0) & np.isfinite(values)]
    return known


_LATENCY = ("latency_s", "attempts")

METRICS: tuple[Metric, ...] = (
    Metric("n", "requests", None, ("quality",), len),
    Metric("mean_quality", "", True, ("quality",), mean),
    Metric("mean_cost", "USD per request", False, ("cost",), mean),
    Metric("mean_latency_s", "s", False, _LATENCY, served_mean),
    Metric("p50_latency_s", "s", False, _LATENCY, partial(served_quantile, level=0.50)),
    Metric("p95_latency_s", "s", False, _LATENCY, partial(served_quantile, level=0.95)),
    Metric("p99_latency_s", "s", False, _LATENCY, partial(served_quantile, level=0.99)),
    Metric("latency_coverage", "", True, _LATENCY, coverage),
    Metric("slo_violation_rate", "", False, ("slo_violation",), mean),
    Metric("mean_attempts", "calls per request", None, ("attempts",), mean),
    Metric("shed_rate", "", False, ("attempts",), shed_rate),
)
"""The metrics of every result table, in the order of their columns."""
