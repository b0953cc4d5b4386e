"""Differences between routers, paired by query and by stream order; a tie is reported as a tie.

All replicates come from the same resamples, so the difference of two routers' replicates is a replicate of
their difference. Verdicts are by Holm-adjusted p-values at ``alpha``; intervals are unadjusted.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr

from dacr.core.errors import UserError
from dacr.metrics.intervals import Replicates, means, percentile
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.types import Floats

WIN, TIE, LOSS, UNKNOWN = "win", "tie", "loss", "unknown"


def to_reference(
    names: Sequence[str],
    replicates: Replicates,
    reference: int,
    bigger_is_better: bool = True,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare every column with one reference.

    Returns
    -------
    DataFrame
        One row per other column: name, reference, difference (column - reference), low, high (paired percentile
        interval), p (two-sided; normal, with the bootstrap's standard error), p_holm (over all rows), verdict
        (win, tie or loss of the column; unknown where one run of a learner allows none), reason.
    """
    if not 0 <= reference < len(names) or len(names) != len(replicates.estimate):
        raise UserError(f"reference {reference} is none of {len(names)} columns")
    others = [c for c in range(len(names)) if c != reference]
    made = between(
        [names[c] for c in others],
        replicates.take([reference] * len(others)),
        replicates.take(others),
        bigger_is_better,
        level,
    )
    made.insert(1, "reference", names[reference])
    return made


def between(
    names: Sequence[str], first: Replicates, second: Replicates, bigger_is_better: bool = True, level: float = 0.95
) -> pd.DataFrame:
    """Compare column i of two sets of replicates, which come from the same resamples.

    Returns
    -------
    DataFrame
        As :func:`to_reference`, without its column ``reference``; difference is second - first.
    """
    if not len(names) == len(first.estimate) == len(second.estimate):
        raise UserError(f"{len(names)} names for {len(first.estimate)} and {len(second.estimate)} columns")
    difference = second.estimate - first.estimate
    draws = second.draws - first.draws
    low, high = percentile(draws, level)
    p = p_values(difference, _spread(draws))
    p_holm = holm(p)
    return pd.DataFrame(
        {
            "name": list(names),
            "difference": difference,
            "low": low,
            "high": high,
            "p": p,
            "p_holm": p_holm,
            "verdict": verdicts(difference, p_holm, bigger_is_better, 1 - level),
            "reason": [_reason(first, second, c) for c in range(len(names))],
        }
    )


def win_tie_loss(
    panel: Panel,
    name: str,
    resamples: Resamples,
    labels: Sequence[str],
    bigger_is_better: bool = True,
    alpha: float = 0.05,
    min_queries: int = 20,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count over domains who beats whom.

    Holm's correction runs over all pairs in all domains at once, so give one setting per router: with every
    setting of every router hardly anything would be told apart.

    Parameters
    ----------
    labels : one name per setting of the panel
    min_queries : int
        Smaller domains get no verdict ("unknown").

    Returns
    -------
    matrix : DataFrame, rows and columns ``labels``
        "wins-ties-losses" of the row against the column; empty on the diagonal.
    pairs : DataFrame
        domain, n, a, b, difference (a - b), p, p_holm, verdict (of a).
    """
    n_setting = len(panel.settings)
    if len(labels) != n_setting or len(set(labels)) != n_setting:
        raise UserError(f"expected {n_setting} distinct labels, got {list(labels)}")
    first, second = np.triu_indices(n_setting, k=1)
    parts = []
    for domain in sorted(set(panel.domain)):
        where = np.asarray(panel.domain == domain)
        n = int(where.sum())
        difference = np.full(len(first), np.nan)
        p = np.full(len(first), np.nan)
        if n >= min_queries:
            replicates = means(panel, name, resamples, where)
            difference = replicates.estimate[first] - replicates.estimate[second]
            spread = np.concatenate(
                [_spread(replicates.draws[a] - replicates.draws[a + 1 :]) for a in range(n_setting - 1)]
            )
            p = p_values(difference, spread)
        a, b = [labels[int(i)] for i in first], [labels[int(i)] for i in second]
        parts.append(pd.DataFrame({"domain": domain, "n": n, "a": a, "b": b, "difference": difference, "p": p}))
    pairs = pd.concat(parts, ignore_index=True)
    pairs["p_holm"] = holm(pairs["p"])
    pairs["verdict"] = verdicts(pairs["difference"].to_numpy(), pairs["p_holm"].to_numpy(), bigger_is_better, alpha)
    return _matrix(pairs, labels), pairs


def p_values(difference: Floats, spread: Floats) -> Floats:
    """Two-sided normal p-values; a difference without spread is certain, unless it is 0. NaN where spread is NaN.

    Normal rather than counted: with 2,000 replicates a counted p is never below .001, and sixty
    comparisons could then never be significant after correction.
    """
    size = np.abs(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(size <= 1e-12, 0.0, size / spread)
    p: Floats = 2 * ndtr(-z)
    return np.where(np.isnan(spread), np.nan, p)


def verdicts(difference: Floats, p_holm: Floats, bigger_is_better: bool, alpha: float) -> list[str]:
    """Return win, tie, loss or unknown for each difference."""
    better = difference if bigger_is_better else -difference
    return [
        UNKNOWN if np.isnan(p) else TIE if p > alpha else WIN if d > 0 else LOSS
        for d, p in zip(better, p_holm, strict=True)
    ]


def _spread(draws: Floats) -> Floats:
    out = np.full(len(draws), np.nan)
    some = np.isfinite(draws).sum(axis=1) > 1
    out[some] = np.nanstd(draws[some], axis=1, ddof=1)
    return out


def _reason(first: Replicates, second: Replicates, column: int) -> str:
    for one in (second, first):
        if not np.isfinite(one.draws[column]).any():
            return one.method[column]
    return ""


def _matrix(pairs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    index = {label: i for i, label in enumerate(labels)}
    a, b = pairs["a"].map(index).to_numpy(), pairs["b"].map(index).to_numpy()
    count = np.zeros((3, len(labels), len(labels)), dtype=np.int64)
    for k, (of_a, of_b) in enumerate([(WIN, LOSS), (TIE, TIE), (LOSS, WIN)]):
        np.add.at(count[k], (a, b), (pairs["verdict"] == of_a).to_numpy())
        np.add.at(count[k], (b, a), (pairs["verdict"] == of_b).to_numpy())
    cells = [
        ["" if i == j else "-".join(str(count[k, i, j]) for k in range(3)) for j in range(len(labels))]
        for i in range(len(labels))
    ]
    return pd.DataFrame(cells, index=list(labels), columns=list(labels))


def holm(p_values: ArrayLike) -> Floats:
    r"""Return Holm-adjusted p-values, in the order and shape given.

    :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})` over the m p-values in rising order.
    Comparing them with alpha keeps the chance of even one false difference at or below alpha, whatever the
    dependence. NaN (no test was made) stays NaN and does not count.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(p)
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise UserError("p-values lie in [0, 1]")
    raw = p[tested]
    order = np.argsort(raw, kind="stable")
    factors = np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    out = np.full(p.shape, np.nan)
    out[tested] = adjusted
    return out
