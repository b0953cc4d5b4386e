"""Holm's correction: many comparisons, one error rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dacr.core.errors import UserError
from dacr.types import Floats


def holm(p_values: ArrayLike) -> Floats:
    r"""Return Holm-adjusted p-values, in the order and shape given.

    :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})` over the m p-values in rising order.
    Comparing them with alpha keeps the chance of even one false difference at or below alpha, whatever the
    dependence. NaN (no test was made) stays NaN and does not count.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(p)
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise UserError("p-values lie in [0, 1]")
    raw = p[tested]
    order = np.argsort(raw, kind="stable")
    factors = np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    out = np.full(p.shape, np.nan)
    out[tested] = adjusted
    return out
