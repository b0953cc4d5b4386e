"""Calibration measures from sums by bin: additive, so that coarse groups cost no second look at the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from dacr.metrics.calibration.debiased import debiased_cells, filled_variance, folded_mean
from dacr.metrics.calibration.ece import LOG_CLIP, N_BINS, bins_of
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

    They equal those of :func:`dacr.metrics.calibration.columns.measures` up to rounding.
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


def slopes(sums: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Split the noise of each bin's debiased |gap| into a part that is linear in the rows, and the rest.

    A gap with noise, :math:`G \sim N(g, \sigma^2)`, is counted as :math:`F(G) = 2 |G| - E |N(G, \sigma^2)|` by the
    debiased ECE. With :math:`u = g / \sigma` and Stein's lemma,

    .. math:: \mathrm{Var} F(G) = h^2 \sigma^2 + \text{rest}, \qquad
       h = E F'(G) = 2\,\mathrm{erf}(u / \sqrt 2) - \mathrm{erf}(u / 2),

    where h (G - g) is the best linear approximation of F(G): the sign of a gap that is clear, up to 1.26 where it
    is half lost in noise (debiasing costs precision), 0 for no gap.

    Returns
    -------
    h : (..., N_BINS) float
    rest : (..., N_BINS) float
        Variances; to be weighted with the squares of the bins' shares.
    null : (..., N_BINS) float
        Var |G| were the gap 0: (1 - 2 / pi) sigma^2, the noise of the plain ECE under perfect calibration.
    """
    shape = sums.shape[1:]
    n, mean_p, gap, sample = (values.reshape(-1, N_BINS) for values in _moments(sums))
    sigma2 = filled_variance(n, sample, mean_p) / np.where(n > 0, n, 1.0)
    sigma = np.sqrt(sigma2)
    ratio = np.abs(gap) / np.where(sigma > 0, sigma, 1.0)
    h = np.where(sigma > 0, np.sign(gap) * _slope(ratio), np.sign(gap))
    rest = np.interp(ratio, _RATIO, _REST) * sigma2
    null = (1 - 2 / np.pi) * sigma2
    return h.reshape(shape), rest.reshape(shape), null.reshape(shape)


def _slope(ratio: Floats) -> Floats:
    out: Floats = 2 * erf(ratio / np.sqrt(2.0)) - erf(ratio / 2)
    return out


def _rest_of(ratio: Floats) -> Floats:
    """Return Var F(G) - h^2 for unit sigma, on an even grid, since F has a kink."""
    nodes = np.linspace(-8.0, 8.0, 2001)
    weights = np.exp(-np.square(nodes) / 2)
    weights /= weights.sum()
    noisy = ratio[:, None] + nodes
    counted = 2 * np.abs(noisy) - folded_mean(noisy, np.ones_like(noisy))
    mean = counted @ weights
    variance: Floats = np.square(counted - mean[:, None]) @ weights
    return np.maximum(variance - np.square(_slope(ratio)), 0.0)


_RATIO = np.linspace(0.0, 8.0, 161)
_REST = _rest_of(_RATIO)


def _moments(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return n, mean p, mean q - p and the sample variance of q - p in each bin; 0 where there are no rows."""
    n = sums[_N]
    some = np.where(n > 0, n, 1.0)
    gap = sums[_R] / some
    left = np.maximum(sums[_RR] - n * np.square(gap), 0.0)
    return n, sums[_P] / some, gap, np.where(n > 1, left / np.where(n > 1, n - 1, 1.0), 0.0)
