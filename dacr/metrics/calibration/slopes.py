"""How noise in a bin's gap moves the debiased ECE: a part that is linear in the rows, and a rest."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from dacr.metrics.calibration.bins import filled_variance, moments
from dacr.metrics.calibration.measures import folded_mean
from dacr.types import Floats


def slopes(sums: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Split the noise of each bin's debiased |gap| into a part that is linear in the rows, and the rest.

    A gap with noise, :math:`G \sim N(g, \sigma^2)`, is counted as :math:`F(G) = 2 |G| - E |N(G, \sigma^2)|` by the
    debiased ECE. With :math:`u = g / \sigma` and Stein's lemma,

    .. math:: \mathrm{Var} F(G) = h^2 \sigma^2 + \text{rest}, \qquad
       h = E F'(G) = 2\,\mathrm{erf}(u / \sqrt 2) - \mathrm{erf}(u / 2),

    where h (G - g) is the best linear approximation of F(G): the sign of a gap that is clear, up to 1.26 where it
    is half lost in noise (debiasing costs precision), 0 for no gap.

    Returns
    -------
    h : (..., N_BINS) float
    rest : (..., N_BINS) float
        Variances; to be weighted with the squares of the bins' shares.
    null : (..., N_BINS) float
        Var |G| were the gap 0: (1 - 2 / pi) sigma^2, the noise of the plain ECE under perfect calibration.
    """
    n, mean_p, gap, sample = moments(sums)
    sigma2 = filled_variance(n, sample, mean_p) / np.where(n > 0, n, 1.0)
    sigma = np.sqrt(sigma2)
    ratio = np.abs(gap) / np.where(sigma > 0, sigma, 1.0)
    h = np.where(sigma > 0, np.sign(gap) * _slope(ratio), np.sign(gap))
    return h, np.interp(ratio, _RATIO, _REST) * sigma2, (1 - 2 / np.pi) * sigma2


def _slope(ratio: Floats) -> Floats:
    return 2 * erf(ratio / np.sqrt(2.0)) - erf(ratio / 2)  # type: ignore[no-any-return,unused-ignore]


def _rest_of(ratio: Floats) -> Floats:
    """Return Var F(G) - h^2 for unit sigma, on an even grid, since F has a kink."""
    nodes = np.linspace(-8.0, 8.0, 2001)
    weights = np.exp(-np.square(nodes) / 2)
    weights /= weights.sum()
    noisy = ratio[:, None] + nodes
    counted = 2 * np.abs(noisy) - folded_mean(noisy, np.ones_like(noisy))
    mean = counted @ weights
    variance = np.square(counted - mean[:, None]) @ weights
    return np.maximum(variance - np.square(_slope(ratio)), 0.0)


_RATIO = np.linspace(0.0, 8.0, 161)
_REST = _rest_of(_RATIO)
