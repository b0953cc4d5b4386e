"""Smooth ECE: calibration error without bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct, idct

from dacr.types import Floats

GRID = 1024
_CHUNK = 512
_HALVINGS = 14


def smooth_ece_table(
    p: ArrayLike, q: ArrayLike, group: ArrayLike | None = None, n_group: int | None = None
) -> NDArray[np.float64]:
    r"""Return the smooth ECE of each group (Blasiok and Nakkiran 2023, arXiv 2309.12236).

    The residuals q - p are smoothed along p by a Gaussian kernel reflected at 0 and 1,

    .. math:: \mathrm{smECE}_\sigma = \int_0^1 \left| \frac1n \sum_i (q_i - p_i) K_\sigma(t, p_i) \right| dt,

    and the bandwidth is the one with :math:`\mathrm{smECE}_\sigma = \sigma`: that value is returned. It falls
    as sigma grows, so bisection finds it. The reflected Gaussian is diagonal in cosines, so that one
    discrete cosine transform of the residuals on a grid of 1,024 cells serves every bandwidth.

    Returns
    -------
    (n_group,) float; NaN where a group has no rows. A point value: it has no interval here.
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    code = np.zeros(len(a), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    size = n_group if n_group is not None else (int(code.max()) + 1 if len(code) else 1)
    order = np.argsort(code, kind="stable")
    count = np.bincount(code, minlength=size)
    ends = np.cumsum(count)
    out = np.full(size, np.nan)
    for first in range(0, size, _CHUNK):
        last = min(first + _CHUNK, size)
        rows = order[ends[first] - count[first] : ends[last - 1]]
        residual = _on_grid(a[rows], b[rows] - a[rows], code[rows] - first, last - first)
        n = count[first:last]
        some = n > 0
        out[first:last][some] = _fixed_point(residual[some] / n[some][:, None])
    return out


def smooth_ece(p: ArrayLike, q: ArrayLike) -> float:
    """Return the smooth ECE of all rows; see :func:`smooth_ece_table`.

    Examples
    --------
    >>> round(smooth_ece([0.5] * 100, [1.0] * 100), 3)  # 0.5 off everywhere
    0.5
    """
    return float(smooth_ece_table(p, q)[0])


def _on_grid(p: Floats, residual: Floats, group: NDArray[np.int64], n_group: int) -> Floats:
    """Spread each residual over the two nearest cell centres, linearly: (n_group, GRID)."""
    position = np.clip(p * GRID - 0.5, 0.0, GRID - 1.0)
    left = np.minimum(position.astype(np.int64), GRID - 2)
    share = position - left
    cell = group * GRID + left
    total = np.bincount(cell, weights=residual * (1 - share), minlength=n_group * GRID)
    total += np.bincount(cell + 1, weights=residual * share, minlength=n_group * GRID)
    return np.asarray(total, dtype=np.float64).reshape(n_group, GRID)


def _fixed_point(residual: Floats) -> Floats:
    waves = dct(residual, type=2, axis=1)
    frequency = np.square(np.pi * np.arange(GRID)) / 2
    low, high = np.zeros(len(residual)), np.ones(len(residual))
    for _ in range(_HALVINGS):
        sigma = (low + high) / 2
        smoothed = idct(waves * np.exp(-np.square(sigma)[:, None] * frequency), type=2, axis=1)
        above = np.abs(smoothed).sum(axis=1) > sigma
        low, high = np.where(above, sigma, low), np.where(above, high, sigma)
    out: Floats = (low + high) / 2
    return out
