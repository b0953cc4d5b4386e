"""The bins behind reliability diagrams, in groups of queries, with intervals by query."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from dacr.metrics.calibration.debiased import filled_variance
from dacr.metrics.calibration.ece import N_BINS, bins_of
from dacr.metrics.calibration.groups import Groups
from dacr.types import Floats, Ints

BIN_COLUMNS = ("group", "bin", "lower", "upper", "n", "mean_p", "mean_q", "mean_q_low", "mean_q_high", "sd_q")


def pooled_bins(p: Floats, q: Floats, groups: Groups, which: list[int]) -> pd.DataFrame:
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
    DataFrame
        :data:`BIN_COLUMNS`, N_BINS rows per group. ``n`` is the mean over runs. ``mean_q_low`` and ``mean_q_high``
        are 95 % intervals of mean_q given the predictions: all pairs of a query move together, and runs,
        which repeat the same queries, do not narrow them.
    """
    truth = np.broadcast_to(q, p.shape)
    parts = [_one_run(p[r], truth[r], groups) for r in range(len(p))]
    sums, clustered = (np.mean([part[k] for part in parts], axis=0)[..., which, :] for k in (0, 1))
    n = sums[0]
    some = np.where(n > 0, n, np.nan)
    mean_p, gap = sums[1] / some, sums[2] / some
    # Divisor n - 1 per run; n here is the mean over runs.
    sample = np.where(n > 1, np.maximum(sums[3] - n * np.square(gap), 0.0) / np.where(n > 1, n - 1, 1.0), 0.0)
    # A bin of few queries, or whose outcomes happen to agree, is not sure: it borrows the group's variance.
    single = filled_variance(n, np.nan_to_num(sample), np.nan_to_num(mean_p)) / some
    error = ndtri(0.975) * np.sqrt(np.fmax(clustered, single))
    k = np.broadcast_to(np.arange(N_BINS), n.shape)
    columns = {
        "group": np.repeat(np.array(which), N_BINS),
        "bin": k,
        "lower": k / N_BINS,
        "upper": (k + 1) / N_BINS,
        "n": n,
        "mean_p": mean_p,
        "mean_q": mean_p + gap,
        "mean_q_low": np.clip(mean_p + gap - error, 0.0, 1.0),
        "mean_q_high": np.clip(mean_p + gap + error, 0.0, 1.0),
        "sd_q": np.where(n > 1, np.sqrt(sample), np.nan),
    }
    return pd.DataFrame({name: np.ravel(columns[name]) for name in BIN_COLUMNS})


def _one_run(p: Floats, q: Floats, groups: Groups) -> tuple[Floats, Floats]:
    """Return sums of 1, p, q - p and (q - p)^2 by group and bin, and the variance of mean q - p clustered by query."""
    scored = np.isfinite(p) & np.isfinite(q)
    query, _ = np.nonzero(scored)
    a, residual = p[scored], (q - p)[scored]
    bins = bins_of(a, query)
    n_domain, n = groups.members.shape[1], len(p)
    cell: Ints = groups.domain[query] * N_BINS + bins
    each = (None, a, residual, np.square(residual))
    fine = np.stack([np.bincount(cell, weights=w, minlength=n_domain * N_BINS) for w in each]).astype(np.float64)
    sums = np.einsum("gd,sdb->sgb", groups.members, fine.reshape(4, n_domain, N_BINS), optimize=True)
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
