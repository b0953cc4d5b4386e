"""Logistic fits with Gaussian priors, by damped Newton steps: small, strictly convex, always finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dacr.types import Floats

_STEPS = 100
_TOLERANCE = 1e-9


def cross_entropy(z: Floats, y: Floats) -> float:
    """Return sum of -y log sigma(z) - (1 - y) log(1 - sigma(z)); y may be fractional."""
    return float(np.logaddexp(0.0, z).sum() - y @ z)


def logistic(x: Floats, y: Floats, mean: Floats, sd: Floats, shift: Floats | float = 0.0) -> Floats:
    """Fit y ~ sigma(shift + x w) with independent priors w_k ~ N(mean_k, sd_k^2).

    Parameters
    ----------
    x : (n, k), y : (n,), mean, sd : (k,)
        A weak prior (sd of 10) leaves a fit on real data as it is, and keeps it finite where one class
        is missing or the classes can be separated.

    Returns
    -------
    (k,) float
    """
    precision = 1.0 / np.square(sd)

    def value(w: Floats) -> float:
        return cross_entropy(shift + x @ w, y) + 0.5 * float(precision @ np.square(w - mean))

    def step(w: Floats) -> Floats:
        p = expit(shift + x @ w)
        gradient = x.T @ (p - y) + precision * (w - mean)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(precision)
        return np.linalg.solve(curvature, gradient)

    return _descend(mean.astype(np.float64), value, step)


def _descend(w: Floats, value: Callable[[Floats], float], step: Callable[[Floats], Floats]) -> Floats:
    now = value(w)
    for _ in range(_STEPS):
        move = step(w)
        size = 1.0
        while (after := value(w - size * move)) > now and size > 1e-8:
            size /= 2
        if after > now:
            break
        w = w - size * move
        done = now - after <= _TOLERANCE * (1.0 + abs(now)) and np.abs(move).max() < 1e-6
        now = after
        if done:
            break
    return w


@dataclass(frozen=True)
class SlopeAndOffsets:
    """One slope, and one offset per group with its posterior sd.

    Attributes
    ----------
    slope : float, at least 0
    free_slope : float
        What it would be without the constraint.
    offset, sd : (n_group,) float
    """

    slope: float
    free_slope: float
    offset: Floats
    sd: Floats


def slope_and_offsets(
    v: Floats,
    y: Floats,
    group: NDArray[np.int64],
    n_group: int,
    shift: Floats | float,
    slope_sd: float,
    offset_sd: float,
) -> SlopeAndOffsets:
    """Fit y ~ sigma(shift + a v + o_group), a >= 0, with a ~ N(0, slope_sd^2) and o ~ N(0, offset_sd^2).

    The offsets meet only through the slope, so a Newton step costs O(n): their block of the curvature is
    diagonal and is eliminated. The objective is convex: where the free slope is negative the constrained
    one is exactly 0.
    """
    prior_a, prior_o = 1.0 / slope_sd**2, 1.0 / offset_sd**2

    def total(values: Floats) -> Floats:
        return np.bincount(group, weights=values, minlength=n_group).astype(np.float64)

    def value(w: Floats) -> float:
        z = shift + w[0] * v + w[1:][group]
        return cross_entropy(z, y) + 0.5 * (prior_a * float(w[0]) ** 2 + prior_o * float(w[1:] @ w[1:]))

    def curvature(w: Floats) -> tuple[Floats, Floats, Floats, float]:
        p = expit(shift + w[0] * v + w[1:][group])
        weight = p * (1 - p)
        corner = float(weight @ np.square(v)) + prior_a
        return p - y, total(weight) + prior_o, total(weight * v), corner

    def step(w: Floats, free: bool) -> Floats:
        error, own, cross, corner = curvature(w)
        g_o = total(error) + prior_o * w[1:]
        move_a = 0.0
        if free:
            g_a = float(error @ v) + prior_a * w[0]
            move_a = (g_a - float(cross @ (g_o / own))) / (corner - float(cross @ (cross / own)))
        return np.concatenate([[move_a], (g_o - cross * move_a) / own])

    w = _descend(np.zeros(1 + n_group), value, lambda w: step(w, free=True))
    free_slope = float(w[0])
    if free_slope < 0:
        w = _descend(np.zeros(1 + n_group), value, lambda w: step(w, free=False))
    _, own, cross, corner = curvature(w)
    variance = 1.0 / own
    if free_slope > 0:
        variance = variance + np.square(cross / own) / (corner - float(cross @ (cross / own)))
    return SlopeAndOffsets(float(w[0]), free_slope, w[1:], np.sqrt(variance))
