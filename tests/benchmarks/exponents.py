"""Growth exponents: how time and memory grow with the number of queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from dacr.types import Floats

FROM = 10_000
"""Sizes below are shown, but what is constant rules there: they take no part in the fit."""
LEAST_S = 0.05
"""A stage that takes less at the largest size has no growth to speak of."""


@dataclass(frozen=True)
class Growth:
    """The slope b of log y = a + b log n, with its 95 % interval by Student's t; NaN where it can't be fitted."""

    exponent: float
    low: float
    high: float
    n_point: int


def growth(n: Floats, y: Floats, level: float = 0.95) -> Growth:
    """Fit the exponent of y ~ n^b by least squares on logarithms.

    Needs two distinct sizes; the interval needs three points.

    Examples
    --------
    >>> fitted = growth(np.array([1e4, 1e5, 1e6]), np.array([2.0, 20.0, 200.0]))
    >>> round(fitted.exponent, 6), round(fitted.high - fitted.low, 6)
    (1.0, 0.0)
    """
    n, y = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    good = np.isfinite(y) & (y > 0)
    x, z = np.log(n[good]), np.log(y[good])
    nan = float("nan")
    if len(np.unique(x)) < 2:
        return Growth(nan, nan, nan, len(x))
    centred = x - x.mean()
    slope = float((centred * z).sum() / np.square(centred).sum())
    if len(x) < 3:
        return Growth(slope, nan, nan, len(x))
    rest = z - z.mean() - slope * centred
    error = float(np.sqrt(np.square(rest).sum() / (len(x) - 2) / np.square(centred).sum()))
    width = float(student.ppf(0.5 + level / 2, len(x) - 2)) * error
    return Growth(slope, slope - width, slope + width, len(x))


def totals(stages: pd.DataFrame) -> pd.DataFrame:
    """Return the whole pipeline at each size and repeat: sums of times, the largest peak."""
    grouped = stages.groupby(["n_query", "repeat"], sort=True)
    whole = grouped.agg(
        wall_s=("wall_s", "sum"),
        processor_s=("processor_s", "sum"),
        peak_mib=("peak_mib", "max"),
        start_mib=("start_mib", "first"),
    ).reset_index()
    return whole.assign(stage="all stages")


def exponents(stages: pd.DataFrame) -> pd.DataFrame:
    """Return growth exponents per stage and of the whole: of processor time and of memory above the start.

    Parameters
    ----------
    stages : DataFrame
        ``stage, n_query, repeat, wall_s, processor_s, peak_mib, start_mib``.

    Returns
    -------
    DataFrame
        ``stage, quantity, exponent, low, high, n_point``; NaN exponents for stages of milliseconds.
    """
    both = pd.concat([stages, totals(stages)], ignore_index=True)
    both["memory_mib"] = both["peak_mib"] - both["start_mib"]
    rows = []
    for stage, own in both.groupby("stage", sort=False):
        large = own[own["n_query"] >= FROM]
        for quantity in ("processor_s", "memory_mib"):
            slow = quantity == "memory_mib" or own["processor_s"].max() >= LEAST_S
            taken = large if slow else large.iloc[:0]
            fitted = growth(taken["n_query"].to_numpy(), taken[quantity].to_numpy())
            rows.append({"stage": stage, "quantity": quantity, **vars(fitted)})
    return pd.DataFrame(rows)
