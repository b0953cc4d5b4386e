"""How much of an ECE is noise: the debiased ECE, and what a perfectly calibrated predictor would score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtr, xlog1py, xlogy

from dacr.metrics.calibration.ece import N_BINS, Scheme, reliability
from dacr.types import Floats


def debiased_table(
    p: ArrayLike,
    q: ArrayLike,
    group: ArrayLike | None = None,
    n_group: int | None = None,
    n_bins: int = N_BINS,
    scheme: Scheme = "width",
) -> dict[str, NDArray[np.float64]]:
    r"""Return the debiased ECE and the null ECE of each group.

    With :math:`w_k = n_k / n`, the gap :math:`g_k = \bar q_k - \bar p_k` of bin k and
    :math:`\sigma_k^2 = s_k^2 / n_k`, where :math:`s_k^2` is the **within-bin sample variance** of q - p
    (divisor n_k - 1; a bin of one row borrows the pooled variance):

    * ``ece_debiased``: :math:`\sum_k w_k (2 |g_k| - E|N(g_k, \sigma_k^2)|)`, at least 0. The plug-in ECE minus
      its bias under normal noise about what was seen; the L1 estimator of Kumar, Liang and Ma (2019,
      arXiv 1909.10155), with the folded normal's mean in closed form instead of resampling.
    * ``ece2_debiased``: :math:`\sum_k w_k (g_k^2 - \sigma_k^2)`: the squared calibration error, unbiased and so
      sometimes negative (Broecker 2012; Kumar et al. 2019 for 0/1 labels, where
      :math:`s_k^2 / n_k = \bar q_k (1 - \bar q_k) / (n_k - 1)` for equal p).
    * ``ece_null``: the expected ECE of a perfectly calibrated predictor with these p at this n. The mean
      absolute deviation of a binomial (De Moivre) at each bin's mean p, times :math:`\sqrt\varphi`, where
      :math:`\varphi = \sum n_k s_k^2 / \sum n_k \bar q_k (1 - \bar q_k) \le 1` is how much less fractional labels
      vary than 0/1 labels (1 for those). Without q variation at all it is that of 0/1 labels.

    Returns
    -------
    dict of (n_group,) arrays
        n, ece, ece_debiased, ece2_debiased, ece_null; NaN for groups without rows.
    """
    cells = reliability(p, q, group, n_group, n_bins, scheme)
    shape = (-1, n_bins)
    n = cells["n"].reshape(shape)
    mean_p, mean_q = (np.where(n > 0, cells[name].reshape(shape), 0.0) for name in ("mean_p", "mean_q"))
    return debiased_cells(n, mean_p, mean_q, np.square(cells["sd_q"].reshape(shape)))


def debiased_cells(n: Floats, mean_p: Floats, mean_q: Floats, sample: Floats) -> dict[str, NDArray[np.float64]]:
    """Return the measures of :func:`debiased_table` from bins.

    Parameters
    ----------
    n, mean_p, mean_q, sample : (n_group, n_bins)
        Rows, means, and sample variance of q - p in each bin (anything where a bin has fewer than two rows).
    """
    total = n.sum(axis=1)
    weight = n / np.where(total > 0, total, np.nan)[:, None]
    gap = mean_q - mean_p
    variance = filled_variance(n, sample, mean_p)
    sigma = np.sqrt(variance / np.where(n > 0, n, 1.0))
    return {
        "n": total,
        "ece": (weight * np.abs(gap)).sum(axis=1),
        "ece_debiased": np.maximum((weight * (2 * np.abs(gap) - folded_mean(gap, sigma))).sum(axis=1), 0.0),
        "ece2_debiased": (weight * (np.square(gap) - np.square(sigma))).sum(axis=1),
        "ece_null": (weight * binomial_deviation(n, mean_p)).sum(axis=1) * _dispersion(n, variance, mean_q),
    }


def debiased_ece(p: ArrayLike, q: ArrayLike, n_bins: int = N_BINS, scheme: Scheme = "width") -> float:
    """Return the debiased ECE; see :func:`debiased_table`."""
    return float(debiased_table(p, q, n_bins=n_bins, scheme=scheme)["ece_debiased"][0])


def null_ece(p: ArrayLike, q: ArrayLike, n_bins: int = N_BINS, scheme: Scheme = "width") -> float:
    """Return what a perfectly calibrated predictor with these p would score; see :func:`debiased_table`."""
    return float(debiased_table(p, q, n_bins=n_bins, scheme=scheme)["ece_null"][0])


def folded_mean(mean: Floats, sd: Floats) -> Floats:
    """Return E|N(mean, sd^2)| = sd sqrt(2 / pi) exp(-mean^2 / 2 sd^2) + mean (1 - 2 Phi(-mean / sd))."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = mean / sd
        value = sd * np.sqrt(2 / np.pi) * np.exp(-np.square(ratio) / 2) + mean * (1 - 2 * ndtr(-ratio))
    return np.where(sd > 0, value, np.abs(mean))


def binomial_deviation(n: Floats, p: Floats) -> Floats:
    """Return E|K / n - p| for K ~ Binomial(n, p), 0 where n is 0 (De Moivre's closed form).

    Examples
    --------
    >>> float(binomial_deviation(np.array(1.0), np.array(0.5)))
    0.5
    """
    trials = np.maximum(n, 1.0)
    m = np.minimum(np.floor(trials * p), trials - 1.0)
    log_choose = gammaln(trials + 1) - gammaln(m + 2) - gammaln(trials - m)
    log_power = xlogy(m + 1, p) + xlog1py(trials - m, -p)
    value: Floats = 2 * (m + 1) * np.exp(log_choose + log_power) / trials
    return np.where(n > 0, value, 0.0)


def filled_variance(n: Floats, sample: Floats, mean_p: Floats) -> Floats:
    """Return the variance of each bin, (n_group, n_bins); one row borrows that of the other bins, else p (1 - p)."""
    degrees = np.maximum(n - 1, 0.0)
    known = np.where(n > 1, sample, 0.0)
    total = degrees.sum(axis=1, keepdims=True)
    pooled = (degrees * known).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
    borrowed = np.where(total > 0, pooled, mean_p * (1 - mean_p))
    return np.where(n > 1, known, np.where(n > 0, borrowed, 0.0))


def _dispersion(n: Floats, variance: Floats, mean_q: Floats) -> Floats:
    """Return sqrt(phi): the sd of labels over that of 0/1 labels with the same mean, at most 1."""
    several = n > 1
    # (n - 1) s^2 estimates within-bin squares; 0/1 labels would have n q (1 - q) of them.
    binary = np.where(several, n * mean_q * (1 - mean_q), 0.0).sum(axis=1)
    seen = np.where(several, (n - 1) * variance, 0.0).sum(axis=1)
    ratio = np.where(binary > 0, seen / np.where(binary > 0, binary, 1.0), 1.0)
    out: Floats = np.sqrt(np.clip(np.where(seen > 0, ratio, 1.0), 0.0, 1.0))
    return out
