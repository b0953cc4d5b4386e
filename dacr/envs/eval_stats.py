"""Means with intervals, and differences paired by episode.

An episode is one independent draw: a policy's state is forgotten between episodes. So intervals are Student's t
over episodes, and two policies are compared on the differences of the episodes that both played. PPO has a
second source of chance, its training: where several networks were trained, the interval is over their means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dacr.metrics.paired import holm
from dacr.types import Floats

LEVEL = 0.95


def half_width(values: Floats, level: float = LEVEL) -> float:
    """Return half the width of the t interval of a mean; NaN for fewer than two values."""
    n = len(values)
    if n < 2:
        return float("nan")
    return float(stats.t.ppf(0.5 + level / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def means_table(episodes: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Return n, and mean and half-width of each value, for each group of ``keys``."""
    rows = []
    for names, part in episodes.groupby(list(keys), sort=False, observed=True):
        row = dict(zip(keys, names, strict=True)) | {"n": len(part)}
        for value in values:
            row[value] = float(part[value].mean())
            row[f"{value}_half"] = half_width(part[value].to_numpy(dtype=float))
        rows.append(row)
    return pd.DataFrame(rows)


def paired_table(
    episodes: pd.DataFrame, keys: Sequence[str], value: str, references: Sequence[str], pair: str = "seed"
) -> pd.DataFrame:
    """Compare every policy with each reference on the same episodes, within each group of ``keys``.

    Returns
    -------
    DataFrame
        keys, policy, reference, n, difference (policy - reference), half (of the 95 % interval), p (paired
        t), p_holm (over all rows of the group), verdict: win, loss or tie of the policy at 5 %, after Holm.
    """
    out = []
    for names, part in episodes.groupby(list(keys), sort=False, observed=True):
        wide = part.pivot(index=pair, columns="policy", values=value)
        group = []
        for reference in references:
            for policy in wide.columns:
                if policy == reference or reference not in wide.columns:
                    continue
                difference = (wide[policy] - wide[reference]).dropna().to_numpy(dtype=float)
                group.append(
                    dict(zip(keys, names, strict=True))
                    | {"policy": policy, "reference": reference, "n": len(difference)}
                    | {"difference": float(difference.mean()), "half": half_width(difference), "p": _p(difference)}
                )
        if group:
            table = pd.DataFrame(group)
            table["p_holm"] = holm(table["p"])
            sure = table["p_holm"] <= 1 - LEVEL
            table["verdict"] = np.where(~sure, "tie", np.where(table["difference"] > 0, "win", "loss"))
            out.append(table)
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def _p(difference: Floats) -> float:
    """Two-sided p of the paired t test; equal episodes throughout are a tie."""
    if len(difference) < 2:
        return float("nan")
    spread = float(np.std(difference, ddof=1))
    if spread <= 1e-12:
        return 1.0 if abs(float(difference.mean())) <= 1e-12 else 0.0
    t = float(difference.mean()) / (spread / np.sqrt(len(difference)))
    return float(2 * stats.t.sf(abs(t), len(difference) - 1))
