"""Calibration measures from sums by bin: additive, so that coarse groups cost no second look at the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from dacr.metrics.calibration import LOG_CLIP, N_BINS, bins_of
from dacr.metrics.calibration_debiased import debiased_cells, filled_variance, folded_mean
from dacr.types import Floats, Ints

FROM_SUMS = ("n", "ece", "ece_null", "ece_debiased", "ece2_debiased", "brier", "log_loss", "mean_p", "mean_q")
"""Measures that :func:`from_sums` returns."""

_N, _P, _R, _RR, _LOSS = range(5)


def bin_sums(p: Floats, q: Floats, group: Ints, n_group: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the sums of 1, p, q - p, (q - p)^2 and log-loss over each group's bins, and each row's bin.

    Parameters
    ----------
    p, q, group : (n,)
        Predicted and observed quality, and a group 0 .. n_group - 1.

    Returns
    -------
    sums : (5, n_group, N_BINS) float
        Those of a union of groups are the sum of theirs.
    bins : (n,) int
    """
    bins = bins_of(p, group)
    cell = group * N_BINS + bins
    size = n_group * N_BINS
    residual = q - p
    inside = np.clip(p, LOG_CLIP, 1 - LOG_CLIP)
    loss = -(q * np.log(inside) + (1 - q) * np.log1p(-inside))
    each = (None, p, residual, np.square(residual), loss)
    sums = np.stack([np.bincount(cell, weights=values, minlength=size) for values in each]).astype(np.float64)
    return sums.reshape(5, n_group, N_BINS), bins


def from_sums(sums: Floats) -> dict[str, Floats]:
    """Return :data:`FROM_SUMS`, shaped as the groups of ``sums`` (5, ..., N_BINS); NaN for groups without rows.

    They equal those of :func:`dacr.metrics.calibration_measures.measures` up to rounding.
    """
    shape = sums.shape[1:-1]
    n, mean_p, gap, variance = (values.reshape(-1, N_BINS) for values in _moments(sums))
    total = n.sum(axis=1)
    some = np.where(total > 0, total, np.nan)
    cells = debiased_cells(n, mean_p, mean_p + gap, variance)
    found = {
        **cells,
        "brier": sums[_RR].reshape(-1, N_BINS).sum(axis=1) / some,
        "log_loss": sums[_LOSS].reshape(-1, N_BINS).sum(axis=1) / some,
        "mean_p": (n * mean_p).sum(axis=1) / some,
        "mean_q": (n * (mean_p + gap)).sum(axis=1) / some,
    }
    return {name: found[name].reshape(shape) for name in FROM_SUMS}


def signs(sums: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Split the noise of each bin's |gap| into a part that is linear in the rows, and the rest.

    A gap with noise, :math:`G \sim N(g, \sigma^2)`, has

    .. math:: \mathrm{Var} |G| = h^2 \sigma^2 + \text{rest},
       \qquad h = E\,\mathrm{sign}(G) = \mathrm{erf}(g / \sigma \sqrt 2),

    where h (G - g) is the best linear approximation of |G|: the sign of a gap that is clear, and next to 0
    for one that is lost in noise.

    Returns
    -------
    h : (..., N_BINS) float in [-1, 1]
    rest : (..., N_BINS) float
        Variances; to be weighted with the squares of the bins' shares.
    null : (..., N_BINS) float
        Var |G| were the gap 0: (1 - 2 / pi) sigma^2.
    """
    shape = sums.shape[1:]
    n, mean_p, gap, sample = (values.reshape(-1, N_BINS) for values in _moments(sums))
    sigma2 = filled_variance(n, sample, mean_p) / np.where(n > 0, n, 1.0)
    sigma = np.sqrt(sigma2)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(sigma > 0, erf(gap / (sigma * np.sqrt(2.0))), np.sign(gap))
    whole = np.square(gap) + sigma2 - np.square(folded_mean(gap, sigma))
    rest = np.maximum(whole - np.square(h) * sigma2, 0.0)
    null = (1 - 2 / np.pi) * sigma2
    return h.reshape(shape), rest.reshape(shape), null.reshape(shape)


def _moments(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return n, mean p, mean q - p and the sample variance of q - p in each bin; 0 where there are no rows."""
    n = sums[_N]
    some = np.where(n > 0, n, 1.0)
    gap = sums[_R] / some
    left = np.maximum(sums[_RR] - n * np.square(gap), 0.0)
    return n, sums[_P] / some, gap, np.where(n > 1, left / np.where(n > 1, n - 1, 1.0), 0.0)
