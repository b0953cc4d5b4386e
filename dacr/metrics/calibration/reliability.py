"""The bins behind reliability diagrams, in groups of queries, with intervals by query."""

import numpy as np
from scipy.special import ndtri

from dacr.metrics.calibration.bins import N_BINS, Groups, bin_sums, bins_of, filled_variance, moments
from dacr.types import Floats

BIN_COLUMNS = ("group", "bin", "lower", "upper", "n", "mean_p", "mean_q", "mean_q_low", "mean_q_high", "sd_q")


def pooled_bins(p: Floats, q: Floats, groups: Groups, which: list[int]) -> dict[str, np.ndarray]:
    """Return the bins of all pairs of some groups, pooled over models.

    Parameters
    ----------
    p : (n_run, n, n_model) float in [0, 1]
        Predictions, rows in table order; NaN where a pair is not scored.
    q : (n, n_model) or (n_run, n, n_model) float in [0, 1]
    which : list of int
        Indices of groups.

    Returns
    -------
    dict of arrays
        The columns :data:`BIN_COLUMNS`, N_BINS rows per group. ``n`` is the mean over runs. ``mean_q_low`` and
        ``mean_q_high`` are 95 % intervals of mean_q given the predictions: all pairs of a query move together, and
        runs, which repeat the same queries, do not narrow them.
    """
    truth = np.broadcast_to(q, p.shape)
    parts = [_one_run(p[r], truth[r], groups) for r in range(len(p))]
    sums, clustered = (np.mean([part[k] for part in parts], axis=0)[..., which, :] for k in (0, 1))
    n, mean_p, gap, sample = moments(sums)
    some = np.where(n > 0, n, np.nan)
    # A bin of few queries, or whose outcomes happen to agree, is not sure: it borrows the group's variance.
    single = filled_variance(n, sample, mean_p) / some
    error = ndtri(0.975) * np.sqrt(np.fmax(clustered, single))
    mean_p, mean_q = np.where(n > 0, mean_p, np.nan), np.where(n > 0, mean_p + gap, np.nan)
    k = np.broadcast_to(np.arange(N_BINS), n.shape)
    columns = {
        "group": np.repeat(np.array(which), N_BINS),
        "bin": k,
        "lower": k / N_BINS,
        "upper": (k + 1) / N_BINS,
        "n": n,
        "mean_p": mean_p,
        "mean_q": mean_q,
        "mean_q_low": np.clip(mean_q - error, 0.0, 1.0),
        "mean_q_high": np.clip(mean_q + error, 0.0, 1.0),
        "sd_q": np.where(n > 1, np.sqrt(sample), np.nan),
    }
    return {name: np.ravel(columns[name]) for name in BIN_COLUMNS}


def _one_run(p: Floats, q: Floats, groups: Groups) -> tuple[Floats, Floats]:
    """Return the sums by group and bin, and the variance of mean q - p clustered by query."""
    scored = np.isfinite(p) & np.isfinite(q)
    query, _ = np.nonzero(scored)
    a, b = p[scored], q[scored]
    bins, residual = bins_of(a), b - a
    n_domain, n = groups.members.shape[1], len(p)
    fine = bin_sums(a, b, groups.domain[query], n_domain)
    sums = np.einsum("gd,sdb->sgb", groups.members, fine, optimize=True)
    some = np.where(sums[0] > 0, sums[0], 1.0)
    gap = sums[2] / some
    square = np.zeros(sums.shape[1:])
    count = np.zeros(sums.shape[1:])
    for level in groups.levels:
        own = level[query]
        kept = own >= 0
        moved = np.bincount(
            query[kept] * N_BINS + bins[kept], weights=(residual - gap[own, bins])[kept], minlength=n * N_BINS
        )
        met = np.bincount(query[kept] * N_BINS + bins[kept], minlength=n * N_BINS) > 0
        where = (np.maximum(level, 0)[:, None] * N_BINS + np.arange(N_BINS)).ravel()
        size = square.size
        square += np.bincount(where, weights=np.square(moved), minlength=size).reshape(square.shape)
        count += np.bincount(where, weights=met, minlength=size).reshape(square.shape)
    return sums, np.where(count > 1, square / np.square(some) * count / np.maximum(count - 1, 1), 0.0)
