"""When requests arrive (Poisson, bursts, recorded traces), in stream seconds from 0, and what load they make."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.types import Floats

TRACE_COLUMN = "TIMESTAMP"


def poisson(n: int, rate_qps: float, seed: int) -> Floats:
    """Arrivals of a Poisson process: independent gaps, exponential with mean 1 / ``rate_qps``, above 0.

    The first arrival stands at 0, so that ``n`` arrivals have ``n - 1`` gaps.

    Returns
    -------
    (n,) float, stream seconds, ascending.

    Examples
    --------
    >>> times = poisson(1000, 4.0, seed=1)
    >>> float(times[0]), bool(abs(np.diff(times).mean() - 0.25) < 0.02)
    (0.0, True)
    """
    return _unit_poisson(n, seed) / rate_qps


def bursts(n: int, pieces: list[tuple[float, float]], seed: int) -> Floats:
    r"""Arrivals at piecewise-constant rates that cycle.

    A Poisson process with intensity :math:`r(t)` is a unit-rate one seen through
    :math:`\Lambda^{-1}`, where :math:`\Lambda(t) = \int_0^t r(s)\,ds`.

    Parameters
    ----------
    pieces : list of (qps, seconds)
        From :func:`parse_bursts`; a rate of 0 is a pause.

    Returns
    -------
    (n,) float, stream seconds, ascending.

    References
    ----------
    E. Cinlar, Introduction to Stochastic Processes, 1975 (time change of a Poisson process).
    """
    rate = np.array([qps for qps, _ in pieces], dtype=float)
    length = np.array([seconds for _, seconds in pieces], dtype=float)
    load_edges = np.concatenate([[0.0], np.cumsum(rate * length)])
    time_edges = np.concatenate([[0.0], np.cumsum(length)])
    cycle, load = np.divmod(_unit_poisson(n, seed), load_edges[-1])
    # side="right" steps over pauses: they have no load of their own
    piece = np.clip(np.searchsorted(load_edges, load, side="right") - 1, 0, len(rate) - 1)
    within = (load - load_edges[piece]) / np.where(rate[piece] > 0, rate[piece], 1.0)
    return np.maximum.accumulate(cycle * time_edges[-1] + time_edges[piece] + within)


def parse_bursts(text: str) -> list[tuple[float, float]]:
    """Read ``"qps@seconds,..."``.

    Examples
    --------
    >>> parse_bursts("20@30,2@60")
    [(20.0, 30.0), (2.0, 60.0)]
    """
    pieces = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        try:
            qps, seconds = (float(number) for number in item.split("@"))
        except ValueError:
            raise UserError(f"--burst: {item!r} is not qps@seconds; expected a list such as 20@30,2@60") from None
        if not (0 <= qps < np.inf and 0 < seconds < np.inf):
            raise UserError(f"--burst: {item!r} needs qps >= 0 and seconds > 0; expected a list such as 20@30,2@60")
        pieces.append((qps, seconds))
    if not any(qps > 0 for qps, _ in pieces):
        raise UserError(f"--burst {text!r} has no piece with a rate above 0; expected a list such as 20@30,2@60")
    return pieces


def trace(n: int, recorded_s: Floats, rate_qps: float | None = None) -> Floats:
    """Replay recorded arrivals; start over where they are too few.

    Parameters
    ----------
    recorded_s : (k,) float, seconds
        From :func:`read_trace`. A new round begins one mean gap after the last arrival.
    rate_qps : float or None
        Stretch time so that the mean rate of these ``n`` arrivals is this; None replays the gaps as they were.

    Returns
    -------
    (n,) float, stream seconds, ascending from 0.

    Examples
    --------
    >>> trace(5, np.array([0.0, 1.0, 4.0])).tolist()
    [0.0, 1.0, 4.0, 6.0, 7.0]
    """
    gap = (recorded_s[-1] - recorded_s[0]) / (len(recorded_s) - 1)
    period = recorded_s[-1] - recorded_s[0] + gap
    round_, place = np.divmod(np.arange(n), len(recorded_s))
    times: Floats = round_ * period + recorded_s[place] - recorded_s[0]
    if rate_qps is not None and n > 1 and times[-1] > 0:
        times = times * ((n - 1) / (times[-1] * rate_qps))
    return times


def read_trace(path: str | Path) -> Floats:
    """Read the arrival times of a CSV with a column ``TIMESTAMP``; return seconds from the first, sorted.

    Timestamps are dates (``2023-11-16 18:17:03.9799600``) or numbers of seconds.

    Raises
    ------
    UserError
        No such file or column, a timestamp that is none, fewer than two distinct times.
    """
    path = files.existing_file(path)
    try:
        frame = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"--trace {path}: not a CSV file ({error}); expected one with a column TIMESTAMP") from None
    if TRACE_COLUMN not in frame.columns:
        raise UserError(f"--trace {path}: no column {TRACE_COLUMN}; got {list(frame.columns)}; rename the one of times")
    column = frame[TRACE_COLUMN]
    seconds = _seconds(column)
    bad = np.flatnonzero(~np.isfinite(seconds))
    if len(bad):
        raise UserError(
            f"--trace {path}, line {bad[0] + 2}: {column.iloc[bad[0]]!r} is no timestamp; "
            "expected one such as 2023-11-16 18:17:03.98"
        )
    seconds = np.sort(seconds)
    if len(seconds) < 2 or seconds[-1] <= seconds[0]:
        raise UserError(f"--trace {path}: expected at least two distinct times, got {len(seconds)} rows")
    return seconds - seconds[0]


def _seconds(column: pd.Series) -> Floats:
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column, dtype=float)
    when = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
    known = when.notna().to_numpy()
    # whole nanoseconds first: Unix seconds as floats would lose the last digits
    nanoseconds: NDArray[np.int64] = when.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    first = nanoseconds[known].min() if known.any() else 0
    return np.where(known, (nanoseconds - first) / 1e9, np.nan)


def _unit_poisson(n: int, seed: int) -> Floats:
    gaps = generator("arrivals", seed).exponential(1.0, size=max(n - 1, 0))
    return np.asarray(np.concatenate([[0.0], np.cumsum(gaps)])[:n], dtype=float)


UTILISATION = 0.3
WINDOW = 60.0
CAP = 5.0
REFERENCE_QPS = 3.0
"""The mean rate, in requests per stream second, at which the utilisation holds."""


def load_multiplier(
    arrival_s: Floats,
    utilisation: float = UTILISATION,
    window: float = WINDOW,
    cap: float = CAP,
    intensity: float = 1.0,
) -> Floats:
    r"""Return ``lat_mult``, at least 1, for each arrival.

    The sojourn time in an M/M/1 queue is the service time / (1 - rho). With the trailing arrival rate
    :math:`\lambda_i` over a window that holds ``window`` arrivals on average and the mean rate
    :math:`\bar\lambda` of the whole stream, which is k times the one at which the utilisation u holds,

    .. math:: \rho_i = u k \, \lambda_i / \bar\lambda, \qquad
              \mathrm{mult}_i = \min(cap, 1 / (1 - \min(\rho_i, 1))).

    So an idle system gives 1, the mean rate gives 1 / (1 - u k), and a burst more. Only earlier arrivals
    count; before time 0 the mean rate is assumed. The window is counted in arrivals.

    Parameters
    ----------
    arrival_s : (n,) float, stream seconds, ascending
    utilisation : float in [0, 1)
        u, the share of capacity in use at the mean rate; 0 switches load off.
    window : float
        Mean number of arrivals in the trailing window.
    intensity : float
        k: a stream at twice the reference rate has twice the load.
    cap : float, at least 1

    Returns
    -------
    (n,) float in [1, cap]

    References
    ----------
    L. Kleinrock, Queueing Systems I, 1975, section 3.2.

    Examples
    --------
    >>> load_multiplier(np.arange(5.0), utilisation=0.5, window=2.0).round(2).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    utilisation *= intensity
    times = np.asarray(arrival_s, dtype=float)
    if len(times) < 2 or times[-1] <= times[0]:
        return np.full(len(times), min(1 / (1 - min(utilisation, 1 - 1 / cap)), cap))
    mean_rate = (len(times) - 1) / (times[-1] - times[0])
    window_s = window / mean_rate
    recent = np.arange(len(times)) - np.searchsorted(times, times - window_s, side="left")
    unseen_s = np.clip(window_s - (times - times[0]), 0.0, None)
    rate = (recent + mean_rate * unseen_s) / window_s
    rho = np.minimum(utilisation * rate / mean_rate, 1 - 1 / cap)
    return np.minimum(1 / (1 - rho), cap)
