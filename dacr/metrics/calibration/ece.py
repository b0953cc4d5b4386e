"""Can predicted quality be believed? ECE, Brier score, log-loss and reliability, for many groups at once.

Labels may be fractional: the observed value of a bin is its mean quality. Everything is a few calls of
``np.bincount``, so that model x calibrator x domain costs about as much as one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dacr.types import Floats, Ints

Scheme = Literal["width", "mass"]

N_BINS = 15
LOG_CLIP = 1e-12
"""Log-loss is that of p clipped to [LOG_CLIP, 1 - LOG_CLIP]."""


def bins_of(p: Floats, group: Ints, n_bins: int = N_BINS, scheme: Scheme = "width") -> Ints:
    """Return the bin of each prediction, 0 .. n_bins - 1, shape ``(n,)``.

    ``width`` cuts [0, 1] evenly: bin k is [k / n_bins, (k + 1) / n_bins), 1 belongs to the last. ``mass``
    cuts the ranks of each group evenly; equal predictions share a bin (that of their middle rank), so
    that the result does not depend on the order of rows.
    """
    if scheme == "width":
        return np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    if scheme != "mass":
        raise ValueError(f"scheme should be 'width' or 'mass', got {scheme!r}")
    order = np.lexsort((p, group))
    g, v = group[order], p[order]
    new_group = np.concatenate([[True], g[1:] != g[:-1]])
    new_value = new_group | np.concatenate([[True], v[1:] != v[:-1]])
    begins = np.flatnonzero(new_group)
    size = np.diff(np.append(begins, len(p)))
    start = np.repeat(begins, size)
    ties = np.flatnonzero(new_value)
    tie_size = np.diff(np.append(ties, len(p)))
    middle = np.repeat(ties + (tie_size - 1) / 2, tie_size) - start
    out = np.empty(len(p), dtype=np.int64)
    out[order] = np.minimum((middle / np.repeat(size, size) * n_bins).astype(np.int64), n_bins - 1)
    return out


def calibration_table(
    p: ArrayLike,
    q: ArrayLike,
    group: ArrayLike | None = None,
    n_group: int | None = None,
    n_bins: int = N_BINS,
    scheme: Scheme = "width",
) -> dict[str, NDArray[np.float64]]:
    r"""Return the calibration measures of each group.

    .. math:: \mathrm{ECE} = \sum_k \frac{n_k}{n} |\bar p_k - \bar q_k|, \quad
       \mathrm{Brier} = \overline{(p - q)^2}, \quad \mathrm{log\,loss} = -\overline{q \ln p + (1 - q) \ln (1 - p)}

    Parameters
    ----------
    p, q : (n,) float in [0, 1]
        Predicted and observed quality.
    group : (n,) int, optional
        0 .. n_group - 1; without it all rows are one group.

    Returns
    -------
    dict of (n_group,) arrays
        n, ece, brier, log_loss (nats), mean_p, mean_q. NaN (and n = 0) where a group has no rows.
    """
    p, q, code, size = _checked(p, q, group, n_group)
    count = np.bincount(code, minlength=size).astype(np.float64)

    def mean(values: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            out: Floats = np.bincount(code, weights=values, minlength=size) / np.where(count > 0, count, np.nan)
        return out

    cell = code * n_bins + bins_of(p, code, n_bins, scheme)
    gap = np.abs(np.bincount(cell, weights=p - q, minlength=size * n_bins)).reshape(size, n_bins).sum(axis=1)
    inside = np.clip(p, LOG_CLIP, 1 - LOG_CLIP)
    return {
        "n": count,
        "ece": gap / np.where(count > 0, count, np.nan),
        "brier": mean(np.square(p - q)),
        "log_loss": mean(-(q * np.log(inside) + (1 - q) * np.log1p(-inside))),
        "mean_p": mean(p),
        "mean_q": mean(q),
    }


def reliability(
    p: ArrayLike,
    q: ArrayLike,
    group: ArrayLike | None = None,
    n_group: int | None = None,
    n_bins: int = N_BINS,
    scheme: Scheme = "width",
) -> dict[str, NDArray[np.float64]]:
    """Return the reliability table: one entry per group and bin, group-major, flattened.

    Returns
    -------
    dict of (n_group * n_bins,) arrays
        group, bin, lower, upper (of the bin; with equal mass the smallest and largest p in it), n, mean_p,
        mean_q, and sd_q, the sample sd of q - p within the bin (n - 1; NaN below two rows). Bins without
        rows have n = 0 and NaN.
    """
    p, q, code, size = _checked(p, q, group, n_group)
    n_cell = size * n_bins
    which = bins_of(p, code, n_bins, scheme)
    cell = code * n_bins + which
    count = np.bincount(cell, minlength=n_cell).astype(np.float64)
    some = np.where(count > 0, count, np.nan)
    mean_p = np.bincount(cell, weights=p, minlength=n_cell) / some
    mean_q = np.bincount(cell, weights=q, minlength=n_cell) / some
    residual = (q - p) - (mean_q - mean_p)[cell]
    square = np.bincount(cell, weights=np.square(residual), minlength=n_cell)
    bin_of_cell = np.tile(np.arange(n_bins), size)
    if scheme == "width":
        lower, upper = bin_of_cell / n_bins, (bin_of_cell + 1) / n_bins
    else:
        lower, upper = np.full(n_cell, np.inf), np.full(n_cell, -np.inf)
        np.minimum.at(lower, cell, p)
        np.maximum.at(upper, cell, p)
        lower, upper = np.where(count > 0, lower, np.nan), np.where(count > 0, upper, np.nan)
    return {
        "group": np.repeat(np.arange(size), n_bins).astype(np.float64),
        "bin": bin_of_cell.astype(np.float64),
        "lower": lower,
        "upper": upper,
        "n": count,
        "mean_p": mean_p,
        "mean_q": mean_q,
        "sd_q": np.sqrt(square / np.where(count > 1, count - 1, np.nan)),
    }


def ece(p: ArrayLike, q: ArrayLike, n_bins: int = N_BINS, scheme: Scheme = "width") -> float:
    """Expected calibration error: the mean distance of bins from the diagonal, weighted by their rows.

    Examples
    --------
    >>> ece([0.9, 0.9, 0.1, 0.1], [1.0, 0.0, 0.0, 0.0], n_bins=10)
    0.25
    """
    return float(calibration_table(p, q, n_bins=n_bins, scheme=scheme)["ece"][0])


def brier(p: ArrayLike, q: ArrayLike) -> float:
    """Mean of (p - q)^2."""
    return float(calibration_table(p, q)["brier"][0])


def log_loss(p: ArrayLike, q: ArrayLike) -> float:
    """Mean of -q ln p - (1 - q) ln(1 - p), in nats, with p clipped to [1e-12, 1 - 1e-12]."""
    return float(calibration_table(p, q)["log_loss"][0])


def _checked(
    p: ArrayLike, q: ArrayLike, group: ArrayLike | None, n_group: int | None
) -> tuple[Floats, Floats, Ints, int]:
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"expected p and q of the same shape (n,), got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("p and q must be finite")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1):
        raise ValueError("p and q must lie in [0, 1]")
    code = np.zeros(len(a), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    if code.shape != a.shape or (len(code) and code.min() < 0):
        raise ValueError(f"expected one group code >= 0 per row, got shape {code.shape}")
    size = n_group if n_group is not None else (int(code.max()) + 1 if len(code) else 1)
    if len(code) and code.max() >= size:
        raise ValueError(f"group codes reach {code.max()}, expected less than n_group = {size}")
    return a, b, code, size
