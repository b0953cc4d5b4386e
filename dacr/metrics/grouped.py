"""Any metric for any groups: per setting, per stream order, per domain. One code path for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.metrics.quality_cost import METRICS, Metric

SETTING = ("policy", "lambda_cost", "setting")
"""What names one frontier point of one policy."""


def grouped(decisions: pd.DataFrame, by: Sequence[str], metrics: Sequence[Metric] = METRICS) -> pd.DataFrame:
    """Apply metrics to each group of decisions.

    Parameters
    ----------
    decisions : DataFrame
        One row per decision; see :data:`dacr.metrics.quality_cost.METRICS` for the columns that are read. Where
        there is no column ``attempts``, every request was served by one call.
    by : list of str
        Columns that name a group; NaN counts as a name of its own.

    Returns
    -------
    DataFrame
        One row per group, in order of first appearance: the columns of ``by``, then one per metric.

    Examples
    --------
    >>> frame = pd.DataFrame({"policy": ["a", "b", "a"], "quality": [1.0, 0.5, 0.0]})
    >>> grouped(frame, ["policy"], METRICS[:2])
      policy  n  mean_quality
    0      a  2           0.5
    1      b  1           0.5
    """
    if "attempts" not in decisions:
        decisions = decisions.assign(attempts=1)
    needed = {column for metric in metrics for column in metric.columns} | set(by)
    missing = sorted(needed - set(decisions.columns))
    if missing:
        raise UserError(f"decisions lack the columns {missing}; got {list(decisions.columns)}")
    if decisions.empty:
        return pd.DataFrame(columns=[*by, *(metric.name for metric in metrics)])
    code = decisions.groupby(list(by), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    order = np.argsort(code, kind="stable")
    ends = np.flatnonzero(np.diff(code[order])) + 1
    starts = np.concatenate([[0], ends])
    ends = np.append(ends, len(order))
    sorted_columns = {name: decisions[name].to_numpy()[order] for metric in metrics for name in metric.columns}
    out = decisions[list(by)].iloc[order[starts]].reset_index(drop=True)
    for metric in metrics:
        columns = [sorted_columns[name] for name in metric.columns]
        out[metric.name] = [
            metric.function(*(column[start:end] for column in columns)) for start, end in zip(starts, ends, strict=True)
        ]
    return out


def over_seeds(per_seed: pd.DataFrame, by: Sequence[str] = SETTING) -> pd.DataFrame:
    """Average the metrics of runs over their stream orders, each order with the same weight.

    The tail quantiles are means of the orders' quantiles. NaN in one order is NaN in the mean. Adds ``n_seed``;
    ``n`` stays the requests of one order (their mean, should they differ).
    """
    names = [name for name in per_seed.columns if name not in (*by, "seed")]
    means = [Metric(name, "", None, (name,), lambda values: float(np.mean(values))) for name in names]
    counted = Metric("n_seed", "runs", None, (names[0],), len)
    out = grouped(per_seed, by, [counted, *means])
    if "n" in names and (out["n"] % 1 == 0).all():
        out["n"] = out["n"].astype(int)
    return out
