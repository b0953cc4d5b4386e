"""Thompson sampling over a fixed set of joint draws: which model wins each of them."""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import ndtri

from dacr.core.rng import seed_for
from dacr.types import Floats, Ints

DRAWN_AT_ONCE = 2**15
"""Cells (rows x draws x models) that are drawn together."""


def winners(value: Floats, shared: Floats, own: Floats, draws: Floats) -> Ints:
    """Return the best model of each draw: (n, n_draw); ``value``, ``shared`` and ``own`` are (n, n_model).

    A few rows at a time, so that what is drawn for them stays in the processor's cache.
    """
    common, each = draws[:, :1], draws[:, 1:]
    winner = np.empty((len(value), len(draws)), dtype=np.int64)
    step = max(1, DRAWN_AT_ONCE // each.size)
    for start in range(0, len(value), step):
        rows = slice(start, start + step)
        drawn = own[rows, None, :] * each
        drawn += shared[rows, None, :] * common
        drawn += value[rows, None, :]
        drawn.argmax(axis=2, out=winner[rows])
    return winner


@functools.cache
def normal_draws(n_draw: int, n_model: int) -> Floats:
    """Return a fixed, even set of standard normal draws: (size, 1 + n_model), size the next power of two >= n_draw.

    The first column is the shared shift's. A scrambled Sobol sequence covers the space better than
    independent draws, so fewer are needed; it is even at powers of two alone. The same set serves every
    decision, which makes the propensities an exact function of the posterior.
    """
    from scipy.stats import qmc  # here: only who plays needs it, and it takes half a second

    size = 1 << max(0, (n_draw - 1).bit_length())
    uniform = qmc.Sobol(1 + n_model, scramble=True, rng=seed_for("thompson draws") % 2**32).random(size)
    draws: Floats = ndtri(np.clip(uniform, 1e-6, 1 - 1e-6))
    draws.setflags(write=False)  # all learners of this process share it
    return draws
