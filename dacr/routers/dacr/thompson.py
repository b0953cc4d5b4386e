"""Thompson sampling over a fixed set of joint draws: which model wins each of them."""

import functools

import numpy as np
from scipy.special import ndtri

from dacr.core.compiled import kernel
from dacr.core.rng import seed_for
from dacr.types import Floats, Ints


@kernel
def sample(
    value: Floats,
    shared: Floats,
    own: Floats,
    draws: Floats,
    floor: float,
    uniform: Floats,
    model: Ints,
    propensity: Floats,
) -> None:
    """Choose by how many draws each model wins; write the models and their chances, each (n,).

    Parameters
    ----------
    value, shared, own : (n, n_model) float
        Values, -infinity for models that are not open, and their sds: common to all models, and own.
    draws : (1 + n_model, n_draw) float
        Standard normal; the first row is the common one.
    floor : float
        Share of choices that the open models share evenly.
    uniform : (n,) float in (0, 1)
        Where in the distribution of chances each choice falls.
    """
    (n, n_model), n_draw = value.shape, draws.shape[1]
    best, winner, chance = np.empty(n_draw), np.empty(n_draw), np.empty(n_model)
    farthest = max(draws.max(), -draws.min())
    for i in range(n):
        n_open, leader = 0, 0
        for m in range(n_model):
            leader = m if value[i, m] > value[i, leader] else leader
        least, rivals = value[i, leader] - farthest * (own[i, leader] + shared[i, leader]), -np.inf
        for m in range(n_model):
            n_open += np.isfinite(value[i, m])
            if m != leader:
                rivals = max(rivals, value[i, m] + farthest * (own[i, m] + shared[i, m]))
        for m in range(n_model):
            chance[m] = floor / n_open if np.isfinite(value[i, m]) else 0.0
        if rivals < least:  # no draw reaches so far
            chance[leader] += 1.0 - floor
        else:
            _count_wins(value[i], shared[i], own[i], draws, best, winner)
            for k in range(n_draw):
                chance[int(winner[k])] += (1.0 - floor) / n_draw
        left, m = 0.0, 0
        for k in range(n_model):
            left += chance[k]
        left *= uniform[i]
        while m < n_model - 1 and left > chance[m]:
            left -= chance[m]
            m += 1
        model[i], propensity[i] = m, chance[m]


@kernel
def _count_wins(value: Floats, shared: Floats, own: Floats, draws: Floats, best: Floats, winner: Floats) -> None:
    """Write which model wins each draw; ``best`` is room to work in."""
    for k in range(len(best)):
        best[k], winner[k] = -np.inf, 0.0
    for m in range(len(value)):
        # Named, since the compiler can't know that what is written below does not change them.
        at, spread, together = value[m], own[m], shared[m]
        for k in range(len(best)):
            drawn = spread * draws[1 + m, k] + together * draws[0, k] + at
            winner[k] = m if drawn > best[k] else winner[k]
            best[k] = max(drawn, best[k])


@functools.cache
def normal_draws(n_draw: int, n_model: int) -> Floats:
    """Return a fixed, even set of standard normal draws: (1 + n_model, size), size the next power of two >= n_draw.

    The first row is the shared shift's. A scrambled Sobol sequence covers the space better than
    independent draws, so fewer are needed; it is even at powers of two alone. The same set serves every
    decision, which makes the propensities an exact function of the posterior.
    """
    from scipy.stats import qmc  # here: only who plays needs it, and it takes half a second

    size = 1 << max(0, (n_draw - 1).bit_length())
    uniform = qmc.Sobol(1 + n_model, scramble=True, rng=seed_for("thompson draws") % 2**32).random(size)
    draws: Floats = np.ascontiguousarray(ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)).T)
    draws.setflags(write=False)  # all learners of this process share it
    return draws
