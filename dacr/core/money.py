"""USD as whole nano-dollars: sums are exact, and rounding never makes a bill smaller or a limit larger.

A RouterBench call costs some 1e-5 USD; a float sum over a million of them drifts, an integer one does not.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dacr.types import Ints

NANO_PER_USD = 1_000_000_000


def to_nano(usd: ArrayLike) -> Ints:
    """Round USD up to whole nano-dollars: what is reserved is never less than what was said.

    Examples
    --------
    >>> to_nano([0.1, 1e-9, 0.0]).tolist()
    [100000000, 1, 0]
    """
    return np.asarray(rounded_up(np.asarray(usd, dtype=np.float64))).astype(np.int64)


def rounded_up(usd: Any) -> Any:
    """Return what :func:`to_nano` does as floats: the formula that arrays and kernels share."""
    scaled = usd * NANO_PER_USD
    # A float product such as 0.1 * 1e9 may lie a hair above the whole number that is meant.
    return np.ceil(scaled - 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-6))


def bill(usd: float) -> int:
    """Return one amount that is paid or reserved, rounded up as by :func:`to_nano`.

    Examples
    --------
    >>> bill(0.1), bill(1.2e-9)
    (100000000, 2)
    """
    return int(rounded_up(usd))


def limit(usd: float) -> int:
    """Return one amount that must not be passed, rounded down.

    Examples
    --------
    >>> limit(0.1), limit(1.8e-9)
    (100000000, 1)
    """
    return -bill(-usd)


def nearest(usd: float) -> int:
    """Return the nearest whole amount, for prices and purses that are given as whole nano-dollars.

    Examples
    --------
    >>> nearest(0.1 + 0.2)
    300000000
    """
    return round(usd * NANO_PER_USD)
