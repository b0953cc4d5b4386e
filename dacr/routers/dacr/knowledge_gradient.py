"""What it is worth to try a model: the knowledge gradient over the requests that are left."""

import numpy as np

from dacr.core.compiled import kernel
from dacr.routers.dacr.special import RISE_MOST, rise
from dacr.types import Floats

OUT_OF_REACH = 1e9
"""Gap of a model that is not open: no number of tries closes it."""

LEAST_MOVE = 1e-12
"""Posterior means are taken to move by so much at least, in quality: nothing is divided by 0."""

TRIES = (1.0, 4.0, 16.0, 64.0)
"""Numbers of tries that are weighed. One alone often can't change a decision, so its worth alone misleads."""


@kernel
def worth_of_trying(
    value: Floats, p: Floats, sd: Floats, damping: Floats, left: Floats, rated: Floats, out: Floats
) -> None:
    r"""Write what a call of each model is worth beyond its own answer: (n, n_model), in quality.

    After n further ratings the posterior mean of p_m will have moved by a Gaussian of sd

    .. math:: d_n = \frac{p (1 - p)}{\kappa} s^2 \sqrt{\frac{n p (1 - p)}{1 + s^2 n p (1 - p)}},

    and the best value will have risen by KG_n = d_n (z Phi(z) + phi(z)), z = -|gap| / d_n, in expectation, where
    the gap is to the best other model. Over the H requests that are left that is (H - n) KG_n for n tries, so

    .. math:: \max_n (H - n) \, KG_n / n.

    Reference: Ryzhov, Powell and Frazier 2012, doi:10.1287/opre.1110.0999 (online knowledge gradient); Frazier
    and Powell 2010, doi:10.1287/deca.1100.0190 (why several tries have to be weighed).

    Parameters
    ----------
    value : (n, n_model) float
        Net values, -infinity for models that are not open.
    p : (n, n_model) float
        Posterior means of quality.
    sd : (n, n_model) float
        Posterior sds of each model's own shift, logits; ratings under way are counted as if they had come.
    damping : (n, n_model) float
        kappa = sqrt(1 + pi s^2 / 8): the logit's spread flattens the sigmoid.
    left : (n,) float
        H: requests left.
    rated : (n,) float
        Share of calls that are rated.
    """
    (n, n_model), n_try = value.shape, len(TRIES)
    move, far = np.empty(n * n_model * n_try), np.empty(n * n_model * n_try)
    near = np.empty((n * n_model, 2), np.int64)
    n_near = 0
    for i in range(n):
        # The runner-up is what the best model is compared with; of two that tie each is the other's.
        best, second = -np.inf, -np.inf
        for m in range(n_model):
            second, best = max(second, min(best, value[i, m])), max(best, value[i, m])
        for m in range(n_model):
            out[i, m] = 0.0
            gap = best - second if value[i, m] == best else best - value[i, m]
            gap = gap if gap < OUT_OF_REACH else OUT_OF_REACH
            noise = p[i, m] * (1 - p[i, m])
            steep = noise / damping[i, m] * sd[i, m]
            # A gap of more sds than RISE_MOST is never closed, and no number of tries moves the mean by more than this.
            if gap > RISE_MOST * max(steep, LEAST_MOVE):
                continue
            once = sd[i, m] * sd[i, m] * noise * rated[i]
            for k in range(n_try):
                info, j = once * TRIES[k], n_near * n_try + k
                move[j] = max(steep * np.sqrt(info / (1 + info)), LEAST_MOVE)
                far[j] = gap / move[j]
            near[n_near, 0], near[n_near, 1] = i, m
            n_near += 1
    # Long loops without branches, for vector instructions.
    for j in range(n_near * n_try):
        move[j] = 0.0 if far[j] > RISE_MOST else move[j]
    for j in range(n_near * n_try):
        far[j] = rise(far[j])
    for one in range(n_near):
        i, m, most = near[one, 0], near[one, 1], 0.0
        for k in range(n_try):
            j = one * n_try + k
            most = max(most, max(left[i] - TRIES[k], 0.0) / TRIES[k] * (move[j] * far[j]))
        out[i, m] = most
