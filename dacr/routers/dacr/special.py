"""Special functions for kernels, in arithmetic that a compiler puts into vector instructions.

The functions of the C library are called one number at a time, which takes longer than all else of a decision. These
differ from them by rounding, and are the same on every machine.
"""

import math

import numpy as np

from dacr.core.compiled import formula

_ROUND = 6755399441055744.0
"""1.5 * 2^52: added to a small number it leaves the nearest whole number in the last bits."""

_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LEAST, _MOST = -708.0, 709.0
_TERMS = tuple(1.0 / math.factorial(k) for k in range(14))

_RISE = (
    0.1143372216755153,
    0.2565827142788185,
    0.27684434949095915,
    0.19705809848996764,
    0.10273007907574214,
    0.039775804253089755,
    0.010943546976174485,
    0.0017934123728757087,
    1.1521923585615203e-05,
    -6.900044265184068e-05,
    -1.031465220998836e-05,
    2.019211198384839e-06,
    6.463737543513841e-07,
    -6.860331136428761e-08,
    -3.474375478278397e-08,
    2.798675793857583e-09,
    1.521575078746895e-09,
)
"""1 - z Phi(-z) / phi(z) as a polynomial in 15 / (5 + z) - 2, Chebyshev fit for z in [0, 10]."""

RISE_MOST = 10.0
"""Where :func:`rise` ends: beyond it the function is less than 1e-24."""

_TOP = 1.0 / math.sqrt(2.0 * math.pi)
"""Density of the standard normal at 0."""


@formula
def exp(x: float) -> float:
    """Return e^x for x cut to [-708, 709], to the last digit or the one before it.

    x = k ln 2 + r, and the series of e^r to r^13 / 13!, with 2^k put together from its bits (Muller 2016, Elementary
    Functions, 3rd ed., chapters 5 and 11).
    """
    x = min(max(x, _LEAST), _MOST)
    shifted = x * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    y = _TERMS[13]
    y = y * r + _TERMS[12]
    y = y * r + _TERMS[11]
    y = y * r + _TERMS[10]
    y = y * r + _TERMS[9]
    y = y * r + _TERMS[8]
    y = y * r + _TERMS[7]
    y = y * r + _TERMS[6]
    y = y * r + _TERMS[5]
    y = y * r + _TERMS[4]
    y = y * r + _TERMS[3]
    y = y * r + _TERMS[2]
    y = y * r + _TERMS[1]
    y = y * r + _TERMS[0]
    bits = (np.float64(shifted).view(np.int64) + 1023) << 52
    return y * np.int64(bits).view(np.float64)


@formula
def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-x))


@formula
def rise(z: float) -> float:
    """Return phi(z) - z Phi(-z), the mean of (x - z)+ for a standard normal x, for z cut to [0, ``RISE_MOST``].

    Off by less than 1e-12 of itself.
    """
    z = min(max(z, 0.0), RISE_MOST)
    t = 15.0 / (5.0 + z) - 2.0
    y = _RISE[16]
    y = y * t + _RISE[15]
    y = y * t + _RISE[14]
    y = y * t + _RISE[13]
    y = y * t + _RISE[12]
    y = y * t + _RISE[11]
    y = y * t + _RISE[10]
    y = y * t + _RISE[9]
    y = y * t + _RISE[8]
    y = y * t + _RISE[7]
    y = y * t + _RISE[6]
    y = y * t + _RISE[5]
    y = y * t + _RISE[4]
    y = y * t + _RISE[3]
    y = y * t + _RISE[2]
    y = y * t + _RISE[1]
    y = y * t + _RISE[0]
    return _TOP * exp(-0.5 * z * z) * y
