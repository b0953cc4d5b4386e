r"""Off-policy evaluation: what a fixed policy would have got, from the log of a policy that learns.

With A_t the model that was called, e_t its logged propensity, R_t whether it was rated, rho_t the probability of that,
pi the policy under evaluation and w_t = pi(A_t | x_t) R_t / (e_t rho_t):

.. math::
   \hat V_{IPS} = \frac1n \sum_t w_t Y_t, \quad
   \hat V_{SNIPS} = \frac{\sum_t w_t Y_t}{\sum_t w_t}, \quad
   \hat V_{DR} = \frac1n \sum_t \Big[\sum_a \pi(a | x_t)\, \hat p_t(x_t, a) + w_t (Y_t - \hat p_t(x_t, A_t))\Big].

**What is estimated.** The policy's mean quality *on the logged requests*,
:math:`\frac1n \sum_t \sum_a \pi(a|x_t) q_t(a)`. Given the requests and the past, A_t and R_t are the only chance, and
their probabilities are known exactly. So each term of IPS and DR less its own true value is a martingale difference,
however the log was made, as long as p_hat_t and e_t come from before decision t: both are unbiased under adaptive
logging, and need no model of it.

**Intervals** rest on the martingale central limit theorem with plug-in variance
:math:`\frac{1}{n^2} \sum_t (\xi_t - \bar\xi)^2`; :math:`\xi_t = w_t Y_t` for IPS,
:math:`w_t (Y_t - \hat V) / (\bar w (1 - h_t))` with the leverage :math:`h_t = w_t / \sum_s w_s` for SNIPS
(delta method, leave one out), :math:`w_t (Y_t - \hat p_t)` for DR. A policy that the learner seldom followed hangs on
few calls; so the quantile is Student's t with effective_n - 1 degrees of freedom. Below an effective_n of about 30 the
intervals are rough. The variance between requests of the true values is counted in, on the wide side.

All terms weigh the same: variance-stabilising weights (Hadad et al. 2021) give shorter intervals where propensities go
to 0, but estimate a differently weighted mean when requests drift. An exploration floor keeps the variance bounded.

References: Horvitz and Thompson 1952 (IPS); Swaminathan and Joachims 2015 (SNIPS); Dudik, Langford and Li 2011,
arXiv 1103.4601 (DR); Hadad, Hirshberg, Zhan, Wager and Athey 2021, doi:10.1073/pnas.2014602118 (adaptive logs);
Hall and Heyde 1980 (martingale limit theorems).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from dacr.core.errors import UserError
from dacr.types import Floats, Ints


@dataclass(frozen=True)
class Log:
    """Decisions of one run of a learner, in the order in which they were made.

    Attributes
    ----------
    model : (n,) int
        The model that was called.
    propensity : (n,) float in (0, 1]
        Probability with which it was called.
    quality : (n,) float in [0, 1]
        Its rating; NaN where none came.
    p_rated : float or (n,) float in (0, 1]
        Probability that a rating comes.
    p_hat : (n, n_model) float, optional
        Estimated quality of every model before the decision: DR's outcome model.
    """

    model: Ints
    propensity: Floats
    quality: Floats
    p_rated: float | Floats = 1.0
    p_hat: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.model)
        if self.propensity.shape != (n,) or self.quality.shape != (n,) or n == 0:
            raise UserError(f"a log needs as many propensities and ratings as decisions, {n}, and at least one")
        for name, chance in (("propensity", self.propensity), ("p_rated", np.asarray(self.p_rated))):
            if not ((chance > 0) & (chance <= 1 + 1e-9)).all():
                raise UserError(f"every {name} must lie above 0 and be at most 1; explore with a floor above 0")


def evaluate(log: Log, target_probabilities: ArrayLike, truth: ArrayLike, level: float = 0.95) -> pd.DataFrame:
    """Estimate a fixed policy's mean quality on the logged requests, and compare it with the truth.

    Parameters
    ----------
    target_probabilities : (n, n_model) float
        pi(a | x_t): rows sum to 1. They must not depend on the log.
    truth : (n, n_model) float
        Every model's true quality: for the columns ``true``, ``error`` and ``covered`` alone.

    Returns
    -------
    DataFrame
        estimator (IPS, SNIPS, and DR where the log has ``p_hat``), estimate, low, high, true, error, covered, and
        effective_n = (sum w)^2 / sum w^2: of how many rated calls the estimate is worth.

    Raises
    ------
    UserError
        Wrong shapes; probabilities that don't sum to 1.

    Examples
    --------
    A uniform log of two requests; the policy always calls model 0, which was called once.

    >>> log = Log(np.array([0, 1]), np.array([0.5, 0.5]), np.array([1.0, 1.0]))
    >>> made = evaluate(log, [[1, 0], [1, 0]], [[1, 1], [0, 1]])
    >>> made[["estimator", "estimate", "true"]].to_dict("records")
    [{'estimator': 'IPS', 'estimate': 1.0, 'true': 0.5}, {'estimator': 'SNIPS', 'estimate': 1.0, 'true': 0.5}]
    """
    pi, q = np.asarray(target_probabilities, dtype=float), np.asarray(truth, dtype=float)
    n = len(log.model)
    if pi.ndim != 2 or len(pi) != n or q.shape != pi.shape:
        raise UserError(f"expected target and truth of shape ({n}, n_model), got {pi.shape} and {q.shape}")
    frame = values(log, pi, level, of_these=True)
    effective_n, width = frame.pop("effective_n"), frame["high"] - frame["estimate"]
    frame["true"] = float((pi * q).sum(axis=1).mean())
    frame["error"] = frame["estimate"] - frame["true"]
    frame["covered"] = frame["error"].abs() <= width  # NaN (no weight at all) is never covered
    frame["effective_n"] = effective_n
    return frame


def values(log: Log, target_probabilities: ArrayLike, level: float = 0.95, of_these: bool = False) -> pd.DataFrame:
    """Estimate a fixed policy's mean quality from a log, without the truth.

    Parameters
    ----------
    of_these : bool
        On the very requests that were logged: DR's interval then leaves out how much requests differ. By default on
        requests like those, which the logged ones are a sample of.

    Returns
    -------
    DataFrame
        estimator (IPS, SNIPS, and DR where the log has ``p_hat``), estimate, low, high, effective_n.
    """
    pi = np.asarray(target_probabilities, dtype=float)
    n = len(log.model)
    if (pi < 0).any() or not np.allclose(pi.sum(axis=1), 1.0):
        raise UserError("the target's probabilities must be at least 0 and sum to 1 for each request")
    rows = np.arange(n)
    rated = np.isfinite(log.quality)
    y = np.where(rated, log.quality, 0.0)
    w = pi[rows, log.model] * rated / (log.propensity * log.p_rated)
    estimates = {"IPS": _mean(w * y), "SNIPS": _ratio(w, y)}
    if log.p_hat is not None:
        if log.p_hat.shape != pi.shape:
            raise UserError(f"p_hat has shape {log.p_hat.shape}, the target {pi.shape}")
        expected, surprise = (pi * log.p_hat).sum(axis=1), w * (y - log.p_hat[rows, log.model])
        estimate, error = _mean(expected + surprise)
        estimates["DR"] = estimate, _mean(surprise)[1] if of_these else error
    frame = pd.DataFrame(
        [(name, estimate, error) for name, (estimate, error) in estimates.items()],
        columns=["estimator", "estimate", "standard_error"],
    )
    squares = float(np.square(w).sum())
    effective_n = float(w.sum()) ** 2 / squares if squares else 0.0
    width = stdtrit(max(effective_n - 1.0, 1.0), 0.5 + level / 2) * frame.pop("standard_error")
    frame["low"], frame["high"] = frame["estimate"] - width, frame["estimate"] + width
    frame["effective_n"] = effective_n
    return frame


def _mean(terms: Floats) -> tuple[float, float]:
    """Return the mean of martingale differences (about it) and its standard error."""
    n = len(terms)
    estimate = float(terms.mean())
    return estimate, float(np.sqrt(np.square(terms - estimate).sum()) / n)


def _ratio(w: Floats, y: Floats) -> tuple[float, float]:
    """Return sum w y / sum w and its leave-one-out standard error; NaN where nothing, infinite where one has weight."""
    total = float(w.sum())
    if total == 0:
        return float("nan"), float("nan")
    estimate = float((w * y).sum()) / total
    rest = total - w
    if rest.min() <= 1e-12 * total:
        return estimate, float("inf")
    return estimate, float(np.sqrt(np.square(w * (y - estimate) / rest).sum()))


def running_means(log: Log, domain: Ints, n_model: int, pseudo: float = 5.0) -> Floats:
    """Return an outcome model out of the log's own past: (n, n_model), predictable and so sound for DR.

    The mean rating of each model in the request's domain over earlier decisions, shrunk by ``pseudo`` ratings to the
    model's mean over all domains, and that likewise to .5.

    Parameters
    ----------
    domain : (n,) int
        Domain code of each request; any partition will do.
    """
    n = len(log.model)
    rated = np.isfinite(log.quality)
    one = np.zeros((n, n_model))
    one[np.arange(n), log.model] = rated
    got = one * np.where(rated, log.quality, 0.0)[:, None]
    overall = (_before(got) + pseudo * 0.5) / (_before(one) + pseudo)
    out = np.empty((n, n_model))
    for code in np.unique(domain):
        own = np.flatnonzero(domain == code)
        out[own] = (_before(got[own]) + pseudo * overall[own]) / (_before(one[own]) + pseudo)
    return out


def cell_means(quality: Floats, model: Ints, domain: Ints, n_model: int) -> Floats:
    """Return the mean rating of each model in the domain of each request, its own left out: (n, n_model).

    The outcome model of DR where propensities are shares of calls by domain; 0 where there is no other rating. Sound
    where requests are independent, not for logs of learners.

    Parameters
    ----------
    quality : (n,) float
        Ratings; NaN where none came.
    model, domain : (n,) int
    """
    rated, cell = np.isfinite(quality), domain * n_model + model
    y = np.where(rated, quality, 0.0)
    shape = (int(domain.max()) + 1, n_model)
    total, count = (np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape) for weights in (y, rated))
    total, count = total[domain], count[domain]
    own = (np.arange(len(model)), model)
    total[own] -= y
    count[own] -= rated
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def _before(x: Floats) -> Floats:
    """Return the sum of the rows above each row."""
    return np.cumsum(x, axis=0) - x
