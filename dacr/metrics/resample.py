"""One resample of queries and stream orders, shared by every policy, setting and metric.

A bootstrap replicate is a set of counts: how often each query, and each stream order, was drawn. All
statistics of a replicate are computed from the same counts, so any difference between two routers is
paired without further ado, and the work is one matrix product instead of a loop over replicates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.types import Bools, Floats


@dataclass(frozen=True)
class Resamples:
    """Counts of ``n_resample`` bootstrap replicates.

    Attributes
    ----------
    counts : (n_query, n_resample) float32
        How often each query was drawn; columns sum to n_query.
    order_weights : (n_order, n_resample) float
        Weight of each stream order, mean 1 (:func:`order_weights`).
    """

    counts: NDArray[np.float32]
    order_weights: Floats

    @property
    def n_resample(self) -> int:
        """Number of replicates."""
        return int(self.counts.shape[1])

    def means(self, values: ArrayLike, where: Bools | None = None) -> Floats:
        """Return the replicates of a mean over queries: shape ``(n_column, n_resample)``.

        Parameters
        ----------
        values : (n_query, n_column) float
        where : (n_query,) bool, optional
            Mean over these queries alone (a domain); NaN in replicates that drew none of them.
        """
        x = _finite(values, len(self.counts))
        counts, total = self.counts, np.full(self.n_resample, float(len(x)))
        if where is not None:
            counts, x = counts[where], x[where]
            total = counts.sum(axis=0, dtype=np.float64)
        # Centred first: what goes through float32 is small, and costs of 1e-5 USD keep their digits.
        centre = x.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shift = (x - centre).astype(np.float32).T @ counts / np.where(total > 0, total, np.nan)
        return np.asarray(centre[:, None] + shift, dtype=np.float64)


def draw(n_query: int, n_order: int = 1, n_resample: int = 2000, seed: int = 0, level: float = 0.95) -> Resamples:
    """Draw the counts of all replicates: :func:`query_counts` and :func:`order_weights`."""
    return Resamples(query_counts(n_query, n_resample, seed), order_weights(n_order, n_resample, seed, level))


def query_counts(n_query: int, n_resample: int = 2000, seed: int = 0) -> NDArray[np.float32]:
    """Draw how often each query is in each replicate, multinomial: (n_query, n_resample)."""
    if n_query < 1 or n_resample < 1:
        raise UserError(f"need at least one query and resample; got {n_query}, {n_resample}")
    rng = generator("bootstrap queries", n_query, n_resample, seed)
    counts = np.empty((n_query, n_resample), dtype=np.float32)
    chunk = max(1, min(n_resample, 2_000_000 // n_query))
    for start in range(0, n_resample, chunk):
        width = min(chunk, n_resample - start)
        cell = rng.integers(0, n_query, size=(n_query, width), dtype=np.int32).astype(np.int64)
        cell *= width
        cell += np.arange(width)
        counts[:, start : start + width] = np.bincount(cell.ravel(), minlength=n_query * width).reshape(n_query, width)
    return counts


def order_weights(n_order: int, n_resample: int = 2000, seed: int = 0, level: float = 0.95) -> Floats:
    r"""Draw the weight of each of ``n_order`` independent stream orders in each replicate: (n_order, n_resample).

    Multinomial counts w of n_order draws, stretched about 1, :math:`1 + (w - 1) \sqrt{O/(O-1)}\; t_{O-1} / z`. A
    handful of orders is few: their plain bootstrap variance is too small by (O-1)/O, and a normal interval too short;
    the stretch mends both, at ``level``. One order, where nothing learns, weighs 1.
    """
    if n_order < 1 or n_resample < 1:
        raise UserError(f"need at least one order and resample; got {n_order}, {n_resample}")
    if n_order == 1:
        return np.ones((1, n_resample))
    rng = generator("bootstrap orders", n_order, n_resample, seed)
    w = rng.multinomial(n_order, np.full(n_order, 1 / n_order), size=n_resample).T
    high = 0.5 + level / 2
    stretch = np.sqrt(n_order / (n_order - 1)) * stdtrit(n_order - 1, high) / ndtri(high)
    weights: Floats = 1 + (w - 1) * stretch
    return weights


def _finite(values: ArrayLike, n_query: int) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or len(x) != n_query:
        raise UserError(f"expected ({n_query}, n_column) values, got shape {x.shape}")
    bad = ~np.isfinite(x)
    if bad.any():
        raise UserError(f"means need finite values; {int(bad.sum())} of {x.size} are NaN or infinite")
    return x
