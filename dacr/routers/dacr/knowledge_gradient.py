"""What it is worth to try a model: the knowledge gradient over the requests that are left."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from dacr.types import Floats

TOP = 1.0 / np.sqrt(2.0 * np.pi)
"""Density of the standard normal at 0."""

OUT_OF_REACH = 1e9
"""Gap of a model that is not open: no number of tries closes it."""

TRIES = np.array([1.0, 4.0, 16.0, 64.0])
"""Numbers of tries that are weighed. One alone often can't change a decision, so its worth alone misleads."""


def worth_of_trying(value: Floats, p: Floats, sd: Floats, damping: Floats, left: Floats, rated: Floats) -> Floats:
    r"""Return what a call of each model is worth beyond its own answer: (n, n_model), in quality.

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
    if value.shape[1] < 2:
        return np.zeros_like(value)
    # The runner-up is what the best model is compared with; of two that tie each is the other's.
    two = np.partition(value, -2, axis=1)
    second, best = two[:, -2:-1], two[:, -1:]
    gap = np.where(value == best, best - second, best - value)
    gap = np.where(np.isfinite(gap), gap, OUT_OF_REACH)
    noise = p * (1 - p)
    variance = np.square(sd)
    worth = np.zeros_like(value)
    for tries in TRIES:
        info = variance * noise * (tries * rated)[:, None]
        move = np.maximum(noise / damping * sd * np.sqrt(info / (1 + info)), 1e-12)
        z = gap / move
        rise = move * (np.exp(-0.5 * z * z) * TOP - z * ndtr(-z))
        np.maximum(worth, np.maximum(left - tries, 0.0)[:, None] * rise / tries, out=worth)
    return worth
