"""Controls: what is left of a gain where there should be none, and where predictors rank at all.

Three questions that every gain must answer. Does it survive when features are shuffled within domains? Then
it is knowledge about domains, not about requests. Do two identical routers beat each other? Then the test is
wrong. Do predictions rank the requests of an unseen domain? If not, only base rates can be learnt there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.metrics import intervals, paired
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.types import Floats


def shuffled_within(x: NDArray[np.float32], domain: Sequence[str], seed: int = 0) -> NDArray[np.float32]:
    """Return the features with rows permuted within each domain, to be given as ``Estimator.features``.

    A domain keeps the cloud of its rows, so that whatever is known about domains stays; which request a row
    belongs to is lost.

    Parameters
    ----------
    x : (n, n_feature) float32
    domain : n names
    """
    names = np.asarray(domain, dtype=object).astype(str)
    if names.shape != (len(x),):
        raise UserError(f"expected one domain for each of {len(x)} feature rows, got {names.shape}")
    draw = generator("features shuffled within domains", seed).random(len(x))
    _, code = np.unique(names, return_inverse=True)
    # Both lists are grouped by domain; the second one is in random order within it.
    target, source = np.argsort(code, kind="stable"), np.lexsort((draw, code))
    out = np.empty_like(x)
    out[target] = x[source]
    return out


def concordance(p: ArrayLike, q: ArrayLike, domain: Sequence[str] | None = None) -> Floats:
    r"""Return the within-domain AUC of each column, pairs weighted by how much their quality differs.

    .. math:: \mathrm{AUC} = \frac12\left(1 + \frac{\sum_{i<j} \mathrm{sign}(p_i - p_j)(q_i - q_j)}
              {\sum_{i<j} |q_i - q_j|}\right)

    over pairs of one domain; the ordinary AUC where quality is 0 or 1. Ties in p count one half. Both sums
    come from ranks, in O(n log n): each value enters as often as it is the larger less as often as it is the
    smaller one.

    Parameters
    ----------
    p, q : (n,) or (n, n_model) float
        Predictions, and qualities, which may be fractional.
    domain : n names, optional
        All one domain where it is left out.

    Returns
    -------
    (n_model,) float; NaN where qualities never differ within a domain.

    Examples
    --------
    >>> concordance([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).tolist()
    [0.75]
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(f"expected p and q of one shape (n,) or (n, n_model), got {a.shape} and {b.shape}")
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    names = np.full(len(a), "") if domain is None else np.asarray(domain, dtype=object).astype(str)
    if names.shape != (len(a),):
        raise ValueError(f"expected one domain for each of {len(a)} rows, got {names.shape}")
    signed, total = np.zeros(a.shape[1]), np.zeros(a.shape[1])
    for name in np.unique(names):
        mine = names == name
        signed += (_lead(a[mine]) * b[mine]).sum(axis=0)
        total += (_lead(b[mine]) * b[mine]).sum(axis=0)
    some = total > 1e-12
    out: Floats = np.full(len(total), np.nan)
    out[some] = 0.5 * (1 + signed[some] / total[some])
    return out


def _lead(values: Floats) -> Floats:
    """Return, per column, how many rows are smaller less how many are larger: (n, n_column)."""
    ranks: Floats = rankdata(values, method="average", axis=0)
    return 2 * ranks - len(values) - 1


def false_wins(first: Panel, second: Panel, resamples: Resamples, name: str = "quality", alpha: float = 0.05) -> Floats:
    """Compare two runs of the same routers under other seeds, setting by setting (A/A).

    Parameters
    ----------
    first, second : Panel
        The same settings, queries and stream orders; only the seeds of the routers differ.

    Returns
    -------
    (n_setting,) float
        1 where the paired test, unadjusted at ``alpha``, calls the two different, else 0. The mean should be
        about alpha or below.
    """
    if not first.settings.equals(second.settings):
        raise UserError("an A/A comparison needs the same settings on both sides; play the same routers twice")
    one, two = (intervals.means(panel, name, resamples) for panel in (first, second))
    labels = [str(k) for k in range(len(first.settings))]
    made = paired.between(labels, one, two)
    different: Floats = (made["p"].to_numpy() < alpha).astype(np.float64)
    return different
