"""Bootstrap intervals of calibration measures, by query, from one shared matrix of resample counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dacr.metrics.calibration.bins import LOG_CLIP, N_BINS, bins_of
from dacr.types import Floats, Ints


@dataclass(frozen=True)
class Draws:
    """Bootstrap replicates of each group's measures: ``(n_group, n_resample)`` each; NaN where empty."""

    ece: Floats
    brier: Floats
    log_loss: Floats


def bootstrap(
    p: Floats,
    q: Floats,
    group: Ints,
    n_group: int,
    query: Ints,
    counts: NDArray[np.float32],
    coarser: NDArray[np.int64] | None = None,
) -> Draws:
    """Replicate ECE (equal width), Brier and log-loss of each group.

    All rows of one query (its models, its copies) are drawn together: they are not independent.

    Parameters
    ----------
    p, q, group, query : (n,)
        ``query`` is each row's index into ``counts``.
    counts : (n_query, n_resample)
        From :func:`dacr.metrics.resample.draw`; share it, and differences are paired.
    coarser : (n_link, 2) int, optional
        (coarse, fine) pairs: coarse group n_group + c is the union of its fine groups (a family, all). Their
        sums are those of the fine groups, so that no row is looked at twice.
    """
    bins = bins_of(p)
    inside = np.clip(p, LOG_CLIP, 1 - LOG_CLIP)
    loss = -(q * np.log(inside) + (1 - q) * np.log1p(-inside))
    n_query = len(counts)

    def total(values: Floats, row: Ints, n_row: int) -> Floats:
        matrix = csr_matrix((values.astype(np.float32), (row, query)), shape=(n_row, n_query))
        return np.asarray(matrix @ counts, dtype=np.float64)

    def merge(values: Floats) -> Floats:
        if coarser is None:
            return values
        n_coarse = int(coarser[:, 0].max()) + 1
        link = csr_matrix((np.ones(len(coarser)), (coarser[:, 0], coarser[:, 1])), shape=(n_coarse, n_group))
        return np.concatenate([values, link @ values])

    drawn = merge(total(np.ones(len(p)), group, n_group))
    some = np.where(drawn > 0, drawn, np.nan)
    # Bins one after the other: all at once would be N_BINS times the memory.
    gap = np.zeros_like(drawn)
    for k in range(N_BINS):
        rows = np.flatnonzero(bins == k)
        if len(rows):
            matrix = csr_matrix(
                ((p - q)[rows].astype(np.float32), (group[rows], query[rows])), shape=(n_group, n_query)
            )
            gap += np.abs(merge(np.asarray(matrix @ counts, dtype=np.float64)))
    return Draws(
        gap / some, merge(total(np.square(p - q), group, n_group)) / some, merge(total(loss, group, n_group)) / some
    )


def percentiles(draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the percentile interval of each group: for means such as Brier and log-loss."""
    ends = np.full((2, len(draws)), np.nan)
    known = np.isfinite(draws).sum(axis=1) > 1
    if known.any():
        ends[:, known] = np.nanquantile(draws[known], [0.5 - level / 2, 0.5 + level / 2], axis=1)
    return ends[0], ends[1]


def ece_interval(debiased: Floats, draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return an interval of the true ECE: the spread of the replicates about the debiased value, at least 0.

    A replicate of an ECE has the noise of the sample and of the resample in it, so the plain percentile
    interval lies too high; its *width* is right. So the replicates are shifted to centre on the debiased
    ECE.
    """
    low, high = percentiles(draws, level)
    with np.errstate(invalid="ignore"):
        centre = np.where(np.isfinite(draws).any(axis=1), np.nansum(draws, axis=1), np.nan)
        centre = centre / np.maximum(np.isfinite(draws).sum(axis=1), 1)
    return np.maximum(debiased + low - centre, 0.0), np.maximum(debiased + high - centre, 0.0)
