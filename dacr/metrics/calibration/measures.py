"""Can predicted quality be believed? ECE and how much of it is noise, Brier score and log-loss, from sums by bin.

Labels may be fractional: the observed value of a bin is its mean quality.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, gammaln, ndtr, xlog1py, xlogy

from dacr.metrics.calibration.bins import LOSS, SQUARE, bin_sums, filled_variance, moments
from dacr.metrics.calibration.smooth import smooth_ece_table
from dacr.types import Floats, Ints

FROM_SUMS = (
    "n", "ece", "ece_null", "ece_debiased", "brier", "brier_refinement", "log_loss", "mean_p", "mean_q"
)  # fmt: skip
"""Measures that :func:`from_sums` returns."""

COLUMNS = (*FROM_SUMS, "smooth_ece")


def from_sums(sums: Floats) -> dict[str, Floats]:
    r"""Return :data:`FROM_SUMS` of groups of rows, from their sums by bin; NaN (and n = 0) for groups without rows.

    With :math:`w_k = n_k / n`, the gap :math:`g_k = \bar q_k - \bar p_k` of bin k, and
    :math:`\sigma_k^2 = s_k^2 / n_k`, where :math:`s_k^2` is the **within-bin sample variance** of q - p
    (divisor n_k - 1; a bin of one row borrows the pooled variance):

    * ``ece``: :math:`\sum_k w_k |g_k|`.
    * ``ece_debiased``: :math:`\sum_k w_k (2 |g_k| - E|N(g_k, \sigma_k^2)|)`, at least 0. The plug-in ECE minus
      its bias under normal noise about what was seen; the L1 estimator of Kumar, Liang and Ma (2019,
      arXiv 1909.10155), with the folded normal's mean in closed form instead of resampling.
    * ``ece_null``: the expected ECE of a perfectly calibrated predictor with these p at this n. The mean
      absolute deviation of a binomial (De Moivre) at each bin's mean p, times :math:`\sqrt\varphi`, where
      :math:`\varphi = \sum n_k s_k^2 / \sum n_k \bar q_k (1 - \bar q_k) \le 1` is how much less fractional labels
      vary than 0/1 labels (1 for those). Without q variation at all it is that of 0/1 labels.
    * ``brier``: :math:`\overline{(p - q)^2}`; ``brier_refinement``: what is left of it without its calibration part,
      :math:`\overline{(p - q)^2} - \sum_k w_k g_k^2` (Murphy 1973; DeGroot and Fienberg 1983).
    * ``log_loss``: :math:`-\overline{q \ln p + (1 - q) \ln (1 - p)}`, in nats.

    Parameters
    ----------
    sums : (5, ..., N_BINS) float
        From :func:`dacr.metrics.calibration.bins.bin_sums`.

    Returns
    -------
    dict of (...) float
    """
    n, mean_p, gap, sample = moments(sums)
    total = n.sum(axis=-1)
    some = np.where(total > 0, total, np.nan)
    weight = n / some[..., None]
    variance = filled_variance(n, sample, mean_p)
    sigma = np.sqrt(variance / np.where(n > 0, n, 1.0))
    mean_q = mean_p + gap
    brier = sums[SQUARE].sum(axis=-1) / some
    return {
        "n": total,
        "ece": (weight * np.abs(gap)).sum(axis=-1),
        "ece_null": (weight * binomial_deviation(n, mean_p)).sum(axis=-1) * _dispersion(n, variance, mean_q),
        "ece_debiased": np.maximum((weight * (2 * np.abs(gap) - folded_mean(gap, sigma))).sum(axis=-1), 0.0),
        "brier": brier,
        "brier_refinement": brier - (weight * np.square(gap)).sum(axis=-1),
        "log_loss": sums[LOSS].sum(axis=-1) / some,
        "mean_p": (weight * mean_p).sum(axis=-1),
        "mean_q": (weight * mean_q).sum(axis=-1),
    }


def measures(
    p: ArrayLike, q: ArrayLike, group: ArrayLike | None = None, n_group: int | None = None, smooth: bool = True
) -> dict[str, Floats]:
    """Return :data:`COLUMNS` for each group: a dict of (n_group,) arrays, NaN for groups without rows.

    Parameters
    ----------
    p, q : (n,) float in [0, 1]
        Predicted and observed quality.
    group : (n,) int, optional
        0 .. n_group - 1; without it all rows are one group.
    smooth : bool
        Whether to measure ``smooth_ece``, which takes longer than all others.
    """
    a, b, code, size = _checked(p, q, group, n_group)
    out = from_sums(bin_sums(a, b, code, size))
    return out | {"smooth_ece": smooth_ece_table(a, b, code, size)} if smooth else out


def ece(p: ArrayLike, q: ArrayLike) -> float:
    """Expected calibration error: the mean distance of bins from the diagonal, weighted by their rows.

    Examples
    --------
    >>> ece([0.85, 0.85, 0.15, 0.15], [1.0, 0.0, 0.0, 0.0])
    0.25
    """
    return float(measures(p, q, smooth=False)["ece"][0])


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
    return np.where(n > 0, 2 * (m + 1) * np.exp(log_choose + log_power) / trials, 0.0)


def _dispersion(n: Floats, variance: Floats, mean_q: Floats) -> Floats:
    """Return sqrt(phi): the sd of labels over that of 0/1 labels with the same mean, at most 1."""
    several = n > 1
    # (n - 1) s^2 estimates within-bin squares; 0/1 labels would have n q (1 - q) of them.
    binary = np.where(several, n * mean_q * (1 - mean_q), 0.0).sum(axis=-1)
    seen = np.where(several, (n - 1) * variance, 0.0).sum(axis=-1)
    ratio = np.where(binary > 0, seen / np.where(binary > 0, binary, 1.0), 1.0)
    return np.sqrt(np.clip(np.where(seen > 0, ratio, 1.0), 0.0, 1.0))


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
    n, mean_p, gap, sample = moments(sums)
    sigma2 = filled_variance(n, sample, mean_p) / np.where(n > 0, n, 1.0)
    sigma = np.sqrt(sigma2)
    ratio = np.abs(gap) / np.where(sigma > 0, sigma, 1.0)
    h = np.where(sigma > 0, np.sign(gap) * _slope(ratio), np.sign(gap))
    return h, np.interp(ratio, _RATIO, _REST) * sigma2, (1 - 2 / np.pi) * sigma2


def _slope(ratio: Floats) -> Floats:
    return 2 * erf(ratio / np.sqrt(2.0)) - erf(ratio / 2)  # type: ignore[no-any-return,unused-ignore]


def _rest_of(ratio: Floats) -> Floats:
    """Return Var F(G) - h^2 for unit sigma, on an even grid, since F has a kink."""
    nodes = np.linspace(-8.0, 8.0, 2001)
    weights = np.exp(-np.square(nodes) / 2)
    weights /= weights.sum()
    noisy = ratio[:, None] + nodes
    counted = 2 * np.abs(noisy) - folded_mean(noisy, np.ones_like(noisy))
    mean = counted @ weights
    variance = np.square(counted - mean[:, None]) @ weights
    return np.maximum(variance - np.square(_slope(ratio)), 0.0)


_RATIO = np.linspace(0.0, 8.0, 161)
_REST = _rest_of(_RATIO)
