"""Calibration of the predictions that decisions were made on: called pairs, per policy and setting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.errors import UserError
from dacr.metrics.calibration_measures import measures
from dacr.metrics.grouped import SETTING

MEASURES = ("n", "ece", "ece_null", "ece_debiased", "brier", "log_loss", "mean_p", "mean_q")


def called_table(decisions: pd.DataFrame, by_domain: bool = True) -> pd.DataFrame:
    """Measure ``p_hat``, believed before each decision, against the quality of the model that was called.

    Each stream order is measured by itself; measures are means over orders. Requests without an answer
    (``p_hat`` is NaN) are left out.

    Parameters
    ----------
    decisions : DataFrame
        policy, lambda_cost, setting, seed, domain, p_hat, quality; see ``decisions.parquet``.
    by_domain : bool
        Also one row per domain.

    Returns
    -------
    DataFrame
        policy, lambda_cost, setting, domain ("all" or a name), stage ("online") and :data:`MEASURES`.

    Raises
    ------
    UserError
        A column is missing.
    """
    keys = [*SETTING, "seed", "domain"]
    missing = [name for name in (*keys, "p_hat", "quality") if name not in decisions]
    if missing:
        raise UserError(f"decisions lack the columns {missing}; got {list(decisions.columns)}")
    known = decisions[np.isfinite(decisions["p_hat"].to_numpy(dtype=float))]
    parts = [known.assign(domain="all")[[*keys, "p_hat", "quality"]]]
    if by_domain:
        parts.append(known[[*keys, "p_hat", "quality"]])
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty:
        return pd.DataFrame(columns=[*SETTING, "domain", "stage", *MEASURES])
    grouped = rows.groupby(keys, sort=False, dropna=False, observed=True)
    code = grouped.ngroup().to_numpy()
    first = np.unique(code, return_index=True)[1]
    # Predictions of routers that add a bias may leave [0, 1] by rounding.
    p = np.clip(rows["p_hat"].to_numpy(dtype=float), 0.0, 1.0)
    table = measures(p, rows["quality"].to_numpy(dtype=float), code, len(first))
    per_run = rows[keys].iloc[first].reset_index(drop=True).assign(**{name: table[name] for name in MEASURES})
    by = [*SETTING, "domain"]
    out = per_run.groupby(by, sort=False, dropna=False, observed=True)[list(MEASURES)].mean().reset_index()
    out.insert(len(by), "stage", "online")
    return out
