"""What it is worth to try a model: the knowledge gradient over the requests that are left."""

from __future__ import annotations

import math

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Floats

TOP = 1.0 / np.sqrt(2.0 * np.pi)
"""Density of the standard normal at 0."""

OUT_OF_REACH = 1e9
"""Gap of a model that is not open: no number of tries closes it."""

UNHEARD_OF = 10.0
"""A gap of so many sds is never closed: the rise is less than 1e-24 sds."""

HALF_ROOT = math.sqrt(0.5)
"""Phi(-z) = erfc(z / sqrt 2) / 2."""

TRIES = (1.0, 4.0, 16.0, 64.0)
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
    out = np.zeros_like(value)
    if value.shape[1] > 1:
        _worth(value, p, sd, damping, left, rated, out)
    return out


@kernel
def _worth(value: Floats, p: Floats, sd: Floats, damping: Floats, left: Floats, rated: Floats, out: Floats) -> None:
    n, n_model = value.shape
    for i in range(n):
        # The runner-up is what the best model is compared with; of two that tie each is the other's.
        best, second = -np.inf, -np.inf
        for m in range(n_model):
            if value[i, m] > best:
                best, second = value[i, m], best
            elif value[i, m] > second:
                second = value[i, m]
        for m in range(n_model):
            gap = best - second if value[i, m] == best else best - value[i, m]
            gap = gap if np.isfinite(gap) else OUT_OF_REACH
            noise = p[i, m] * (1 - p[i, m])
            for tries in TRIES:
                info = sd[i, m] * sd[i, m] * noise * (tries * rated[i])
                move = max(noise / damping[i, m] * sd[i, m] * np.sqrt(info / (1 + info)), 1e-12)
                z = gap / move
                if tries >= left[i] or z > UNHEARD_OF:
                    continue
                rise = move * (np.exp(-0.5 * z * z) * TOP - z * 0.5 * math.erfc(z * HALF_ROOT))
                out[i, m] = max(out[i, m], (left[i] - tries) * rise / tries)
