"""The load multiplier: how much slower a call is because of who else is calling."""

from __future__ import annotations

import numpy as np

from dacr.core.errors import UserError
from dacr.types import Floats

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
    if not 0 <= utilisation < 1:
        raise UserError(f"--utilisation must lie in [0, 1), got {utilisation:g}; try {UTILISATION}")
    if not 0 < window < np.inf:
        raise UserError(f"--load_window must be above 0 arrivals, got {window:g}; try {WINDOW:g}")
    if not 1 <= cap < np.inf:
        raise UserError(f"--lat_mult_cap must be at least 1, got {cap:g}; try {CAP:g}")
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
