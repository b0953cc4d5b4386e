r"""Regret over time: how much value a router gave away, compared with references that know the outcomes.

The value of calling model m on request x is q - lambda_cost c - lambda_late 1{late}. With v_s that of the router's s-th
decision and r_s the reference's,

.. math:: Regret(t) = \sum_{s \le t} (r_s - v_s).

Two references: the **best fixed model** in hindsight (most value on the whole test part, at this setting's prices) and
the **oracle** (the best model of each request). Both meet the world that the run met, with what a protocol did to it.
Regret against the first may fall below 0; against the second it can't.
Flat means nothing more to learn, a straight line a constant loss per request. See Lattimore and Szepesvari,
Bandit Algorithms, 2020, chapters 4 and 19.

Runs in different stream orders are independent; the interval of the mean over O of them is a t interval with O - 1
degrees of freedom, at each t by itself. One run gets none.
"""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from dacr.core.errors import UserError
from dacr.types import Floats, Ints, Outcomes, Played

COLUMNS = ("policy", "setting", "reference", "t", "regret_mean", "lo", "hi")
BEST_FIXED = "best fixed model"
ORACLE = "oracle"


def values(outcomes: Outcomes, lambda_cost: float = 0.0, lambda_late: float = 0.0) -> Floats:
    """Return the value of every model on every request, in units of quality: (n, n_model)."""
    return outcomes.quality - lambda_cost * outcomes.cost_usd - lambda_late * outcomes.late


def cumulative(value: Floats, order: Ints, every: Floats) -> dict[str, Floats]:
    """Return the regret of runs against both references.

    Parameters
    ----------
    value : (n_run, n) float
        What each decision was worth, by position in the run's stream.
    order : (n_run, n) int
        Row of ``every`` at each position.
    every : (n_row, n_model) or (n_run, n_row, n_model) float
        Value of every model, from :func:`values`; by run where a protocol makes runs differ. NaN where a model was not
        there: the oracle then takes another, and a fixed model that is not there gives no answer, which is worth 0.

    Returns
    -------
    dict of reference to (n_run, n) float
        Regret after decisions 1, 2, ..., n.

    Examples
    --------
    Two requests, two models; the run calls the worse model first.

    >>> every = np.array([[1.0, 0.0], [0.5, 0.0]])
    >>> cumulative(np.array([[0.0, 0.5]]), np.array([[0, 1]]), every)["oracle"]
    array([[1., 1.]])
    """
    if value.shape != order.shape or value.ndim != 2:
        raise UserError(f"expected values and order of one shape (n_run, n), got {value.shape} and {order.shape}")
    absent = np.isnan(every)
    fixed = np.where(absent, 0.0, every)
    chosen = np.take_along_axis(fixed, fixed.mean(axis=-2, keepdims=True).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    best = np.where(absent, -np.inf, every).max(axis=-1)
    references = {BEST_FIXED: chosen, ORACLE: best}
    return {
        name: np.cumsum(np.take_along_axis(np.atleast_2d(own), order, axis=1) - value, axis=1)
        for name, own in references.items()
    }


def regret_frame(
    played: Played,
    truth: Outcomes,
    tau_s: float,
    *,
    router: str,
    setting: str = "",
    lambda_cost: float = 0.0,
    lambda_late: float = 0.0,
    fallback: float | None = None,
    max_points: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the regret over time of one router at one setting: the rows of ``regret.csv``.

    Parameters
    ----------
    played : Played
        All its runs. Attempts that were paid and rejected count with their cost and time.
    truth : Outcomes
        Of the test part, in table order: what was really offered, by run where runs differ (``World.offered``).
    tau_s : float
        An answer that takes longer is late.
    fallback : float, optional
        What a request that nobody answers is worth, where routers may leave it so: the references may, too.
    max_points : int
        At most this many times t are kept, evenly spaced, the last always.

    Returns
    -------
    DataFrame with the columns :data:`COLUMNS`; t counts decisions from 1; lo and hi are NaN for one run.
    """
    if max_points < 1:
        raise UserError(f"max_points must be at least 1, got {max_points}")
    late = played.latency_s > tau_s
    value = played.quality - lambda_cost * played.cost_usd - lambda_late * late
    n_run, n = value.shape
    keep = np.unique(np.linspace(n - 1, 0, min(max_points, n)).round().astype(int))
    frames = []
    every = values(truth, lambda_cost, lambda_late)
    if fallback is not None:
        every = np.concatenate([every, np.full((*every.shape[:-1], 1), fallback)], axis=-1)
    for reference, regret in cumulative(value, played.row, every).items():
        kept = regret[:, keep]
        mean = kept.mean(axis=0)
        width = np.full(len(keep), np.nan)
        if n_run > 1:
            width = stdtrit(n_run - 1, 0.5 + level / 2) * kept.std(axis=0, ddof=1) / np.sqrt(n_run)
        frames.append(
            pd.DataFrame(
                {
                    "policy": router,
                    "setting": setting,
                    "reference": reference,
                    "t": keep + 1,
                    "regret_mean": mean,
                    "lo": mean - width,
                    "hi": mean + width,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
