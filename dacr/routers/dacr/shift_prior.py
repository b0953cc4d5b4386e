"""How far an unseen family of domains may shift the models: learnt from the families of training."""

import numpy as np
from scipy.special import logit

from dacr.types import Floats, Ints

MIN_ROWS = 20
"""Families of fewer training rows say too little of their own base rates."""


def shift_prior(
    quality: Floats, family: Ints, weak_u: float, weak_v: float, n_weak_u: float = 3.0, n_weak_v: float = 10.0
) -> tuple[float, float]:
    r"""Return the prior sds of the shift that models share, and of each model's own, on the logit scale.

    Each training family f is left out in turn, and its base rates are compared with those of the rest:
    d_fm = logit q_fm - logit q_-f,m, u_f = mean_m d_fm, v_fm = d_fm - u_f. With K families and M models

    .. math:: s_v^2 = \frac{n_0 v_0^2 + (K - 1) (M - 1) \overline{v_{fm}^2}}{n_0 + (K - 1) (M - 1)},
              \qquad s_u^2 = \frac{n_1 u_0^2 + (K - 1) \overline{u_f^2}}{n_1 + K - 1},

    less the noise of rates on finitely many rows. The weak prior carries where training has few families: two
    of them give one number for u. It is the scaled inverse chi-squared update of a variance (Gelman et al.
    2013, Bayesian Data Analysis, 3rd ed., section 2.6), with the point value kept.

    Parameters
    ----------
    quality : (n, n_model) float in [0, 1]
    family : (n,) int
    weak_u, weak_v : float
        u_0 and v_0, logits.
    n_weak_u, n_weak_v : float
        n_1 and n_0: what the weak prior counts for, in squared deviations.

    Examples
    --------
    One family tells nothing of others: the weak prior stays.

    >>> shift_prior(np.full((50, 3), 0.5), np.zeros(50, dtype=int), 1.2, 0.8)
    (1.2, 0.8)
    """
    codes, at, count = np.unique(family, return_inverse=True, return_counts=True)
    n_model = quality.shape[1]
    total = np.zeros((len(codes), n_model))
    np.add.at(total, at, quality)
    enough = count >= MIN_ROWS
    if enough.sum() < 2:
        return weak_u, weak_v
    own, n_own = _rate(total[enough], count[enough])
    rest, n_rest = _rate(total.sum(axis=0) - total[enough], len(quality) - count[enough])
    deviation = logit(own) - logit(rest)
    noise = 1.0 / (n_own * own * (1 - own)) + 1.0 / (n_rest * rest * (1 - rest))
    shared = deviation.mean(axis=1)
    dof_u = len(shared) - 1
    dof_v = dof_u * (n_model - 1)
    square_u = max(float(np.square(shared).mean()), 0.0)
    square_v = max(float(np.square(deviation - shared[:, None]).mean() - noise.mean()), 0.0)
    sd_u = np.sqrt((n_weak_u * weak_u**2 + dof_u * square_u) / (n_weak_u + dof_u))
    sd_v = np.sqrt((n_weak_v * weak_v**2 + dof_v * square_v) / (n_weak_v + dof_v))
    return float(sd_u), float(sd_v)


def _rate(total: Floats, count: Ints) -> tuple[Floats, Floats]:
    """Return rates smoothed by one success and one failure, and the counts behind them as a column."""
    n = np.asarray(count[:, None] + 2.0, dtype=np.float64)
    return np.asarray((total + 1.0) / n, dtype=np.float64), n


def plan_prior(quality: Floats, plan_quality: Floats, family: Ints, weak: float = 0.22, n_weak: float = 10.0) -> float:
    r"""Return the prior sd of how a plan shifts beside the model that it falls back on, on the logit scale.

    With D_fp = logit q_fp - logit q_f,c(p) in family f of training, and e_fp its distance from the others' mean,

    .. math:: s_p^2 = \frac{n_0 s_0^2 + (K - 1) P \overline{e_{fp}^2}}{n_0 + (K - 1) P}.

    Parameters
    ----------
    quality, plan_quality : (n, n_plan) float in [0, 1]
        Of the models that plans fall back on, and of the plans.
    weak, n_weak : float
        s_0 and n_0. On held-out families of the embedded benchmark and of 783 rows of RouterBench a plan's quality
        beside its fallback's was off by .044, which is .22 on the logit scale.
    """
    _, at, count = np.unique(family, return_inverse=True, return_counts=True)
    enough = count >= MIN_ROWS
    n_family, n_plan = int(enough.sum()), plan_quality.shape[1]
    if n_family < 2 or not n_plan:
        return weak
    gap = np.zeros((2, len(count), n_plan))
    for total, values in zip(gap, (quality, plan_quality), strict=True):
        np.add.at(total, at, values)
    gap = logit((gap[:, enough] + 1.0) / (count[enough][:, None] + 2.0))
    own = gap[1] - gap[0]
    apart = (own - own.mean(axis=0)) * n_family / (n_family - 1)
    # Plans that share models move together: all of them tell little more than one of them.
    dof = (n_family - 1) * min(n_plan, 3)
    return float(np.sqrt((n_weak * weak**2 + dof * np.square(apart).mean()) / (n_weak + dof)))
