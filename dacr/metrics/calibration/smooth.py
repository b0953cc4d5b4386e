"""Smooth ECE: calibration error without bins."""

import numpy as np
from scipy.fft import dct, idct

from dacr.metrics.calibration.bins import Groups
from dacr.types import Floats, Ints

GRID = 1024
_CHUNK = 512
_HALVINGS = 14


def smooth_ece_table(p: Floats, q: Floats, group: Ints, n_group: int) -> Floats:
    r"""Return the smooth ECE of each group (Blasiok and Nakkiran 2023, arXiv 2309.12236).

    The residuals q - p are smoothed along p by a Gaussian kernel reflected at 0 and 1,

    .. math:: \mathrm{smECE}_\sigma = \int_0^1 \left| \frac1n \sum_i (q_i - p_i) K_\sigma(t, p_i) \right| dt,

    and the bandwidth is the one with :math:`\mathrm{smECE}_\sigma = \sigma`: that value is returned. It falls
    as sigma grows, so bisection finds it. The reflected Gaussian is diagonal in cosines, so that one
    discrete cosine transform of the residuals on a grid of 1,024 cells serves every bandwidth.

    Parameters
    ----------
    p, q, group : (n,)
        Predicted and observed quality, and a group 0 .. n_group - 1.

    Returns
    -------
    (n_group,) float; NaN where a group has no rows. A point value: it has no interval here.
    """
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=n_group)
    ends = np.cumsum(count)
    out = np.full(n_group, np.nan)
    for first in range(0, n_group, _CHUNK):
        last = min(first + _CHUNK, n_group)
        rows = order[ends[first] - count[first] : ends[last - 1]]
        residual = _on_grid(p[rows], q[rows] - p[rows], group[rows] - first, last - first)
        out[first:last] = _smoothed(residual, count[first:last].astype(np.float64))
    return out


def smooth_ece_by_group(p: Floats, q: Floats, groups: Groups) -> Floats:
    """Return the smooth ECE of pairs (n, n_model) in every group of queries, by model and, last, all models pooled.

    Residuals on the grid add up, so that groups and the pool cost no second look at the pairs. Pairs without a quality
    (NaN) are not scored.
    """
    n_model, (n_group, n_domain) = p.shape[1], groups.members.shape
    out = np.full((n_group, n_model + 1), np.nan)
    pooled, pooled_size = np.zeros((n_group, GRID)), np.zeros(n_group)
    step = max(1, _CHUNK // n_group)
    for first in range(0, n_model, step):
        some = range(first, min(first + step, n_model))
        residual, size = np.empty((len(some), n_group, GRID)), np.empty((len(some), n_group))
        for k, m in enumerate(some):
            known = np.isfinite(q[:, m])
            domain, own = groups.domain[known], p[known, m]
            size[k] = groups.members @ np.bincount(domain, minlength=n_domain).astype(np.float64)
            residual[k] = groups.members @ _on_grid(own, q[known, m] - own, domain, n_domain)
            pooled += residual[k]
            pooled_size += size[k]
        out[:, some] = _smoothed(residual.reshape(-1, GRID), size.ravel()).reshape(size.shape).T
    out[:, n_model] = _smoothed(pooled, pooled_size)
    return out


def _on_grid(p: Floats, residual: Floats, group: Ints, n_group: int) -> Floats:
    """Spread each residual over the two nearest cell centres, linearly: (n_group, GRID)."""
    position = np.clip(p * GRID - 0.5, 0.0, GRID - 1.0)
    left = np.minimum(position.astype(np.int64), GRID - 2)
    share = position - left
    cell = group * GRID + left
    total = np.bincount(cell, weights=residual * (1 - share), minlength=n_group * GRID)
    total += np.bincount(cell + 1, weights=residual * share, minlength=n_group * GRID)
    return np.asarray(total, dtype=np.float64).reshape(n_group, GRID)


def _smoothed(residual: Floats, n: Floats) -> Floats:
    """Return the bandwidths at which the smoothed error is the bandwidth, of sums over n rows each: (n_group,)."""
    out = np.full(len(n), np.nan)
    some = n > 0
    waves = dct(residual[some] / n[some][:, None], type=2, axis=1)
    frequency = np.square(np.pi * np.arange(GRID)) / 2
    low, high = np.zeros(len(waves)), np.ones(len(waves))
    for _ in range(_HALVINGS):
        sigma = (low + high) / 2
        # Of waves that every kernel here damps by e^-100 or more nothing is left.
        heard = np.searchsorted(frequency, 100.0 / np.square(sigma.min(initial=1.0)))
        damped = waves[:, :heard] * np.exp(-np.square(sigma)[:, None] * frequency[:heard])
        smoothed = idct(damped, type=2, n=GRID, axis=1)
        above = np.abs(smoothed).sum(axis=1) > sigma
        low, high = np.where(above, sigma, low), np.where(above, high, sigma)
    out[some] = (low + high) / 2
    return out
