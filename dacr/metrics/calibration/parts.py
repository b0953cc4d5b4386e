"""What a Brier score and a log-loss are made of, also for fractional labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from dacr.metrics.calibration.ece import LOG_CLIP, N_BINS, Scheme, reliability


def brier_parts_table(
    p: ArrayLike,
    q: ArrayLike,
    group: ArrayLike | None = None,
    n_group: int | None = None,
    n_bins: int = N_BINS,
    scheme: Scheme = "width",
) -> dict[str, NDArray[np.float64]]:
    r"""Split the Brier score of each group (Murphy 1973; within-bin part: Stephenson et al. 2008).

    .. math:: \overline{(p - q)^2} = \underbrace{\sum_k w_k (\bar p_k - \bar q_k)^2}_{\text{reliability}}
       - \underbrace{\sum_k w_k (\bar q_k - \bar q)^2}_{\text{resolution}}
       + \underbrace{\mathrm{Var}(q)}_{\text{uncertainty}}
       + \underbrace{\mathrm{Var}_{in}(p) - 2 \mathrm{Cov}_{in}(p, q)}_{\text{within}}

    Uncertainty is Var(q) (divisor n), which for 0/1 labels is q (1 - q) and for fractional ones less. The
    within-bin part is what p tells apart inside bins; with it the sum is exact.

    Returns
    -------
    dict of (n_group,) arrays
        brier, brier_reliability, brier_resolution, brier_uncertainty, brier_within.
    """
    cells = reliability(p, q, group, n_group, n_bins, scheme)
    n = cells["n"].reshape(-1, n_bins)
    total = n.sum(axis=1)
    some = np.where(total > 0, total, np.nan)
    weight = n / some[:, None]
    mean_p, mean_q = (np.where(n > 0, cells[name].reshape(-1, n_bins), 0.0) for name in ("mean_p", "mean_q"))
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    code = np.zeros(len(a), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    overall = (weight * mean_q).sum(axis=1)
    variance = np.bincount(code, weights=np.square(b - overall[code]), minlength=len(total)) / some
    score = np.bincount(code, weights=np.square(a - b), minlength=len(total)) / some
    reliable = (weight * np.square(mean_p - mean_q)).sum(axis=1)
    resolved = (weight * np.square(mean_q - overall[:, None])).sum(axis=1)
    return {
        "brier": score,
        "brier_reliability": reliable,
        "brier_resolution": resolved,
        "brier_uncertainty": variance,
        "brier_within": score - reliable + resolved - variance,
    }


def log_loss_excess_table(
    p: ArrayLike, q: ArrayLike, group: ArrayLike | None = None, n_group: int | None = None
) -> NDArray[np.float64]:
    r"""Return each group's log-loss above the entropy of its labels: the mean of KL(q || p), in nats.

    .. math:: \overline{q \ln (q / p) + (1 - q) \ln ((1 - q) / (1 - p))}

    A label of .5 costs ln 2 even where p = .5; that part says nothing about the predictor. For 0/1 labels
    the entropy is 0 and this is the log-loss. p is clipped to [1e-12, 1 - 1e-12].
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    code = np.zeros(len(a), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    size = n_group if n_group is not None else (int(code.max()) + 1 if len(code) else 1)
    inside = np.clip(a, LOG_CLIP, 1 - LOG_CLIP)
    divergence = -entr(b) - entr(1 - b) - b * np.log(inside) - (1 - b) * np.log1p(-inside)
    count = np.bincount(code, minlength=size)
    out: NDArray[np.float64] = np.bincount(code, weights=divergence, minlength=size) / np.where(
        count > 0, count, np.nan
    )
    return out
