"""One ridge regression per (run, model), kept up to date by rank-one steps: what linear bandits share.

For each arm a precision A and a moment b, with theta = A^-1 b. One rating y of a request x, Delta decisions
after the arm's last one and with g = discount^Delta:

    A <- g A + x x' + (1 - g) d ridge e_j e_j',     b <- g b + y x + (1 - g) d ridge theta0_j e_j.

The last terms hand back, one coordinate j after the other, the regulariser that forgetting takes away
(discounted LinUCB adds (1 - g) ridge I at every step; a d-th of the steps with d times the weight is the same
on average and keeps the step of rank one). With discount 1 they vanish, and this is plain ridge regression.
Only A^-1 is stored; Sherman and Morrison (1950), doi:10.1214/aoms/1177729893, give its step.
"""

from __future__ import annotations

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Floats, Ints


class RidgeArms:
    """State of ``n_run`` x ``n_model`` arms of dimension d.

    Parameters
    ----------
    n_run : int
    precision : (n_model, d, d) float
        A before any feedback: ridge * I and what training data add.
    moment : (n_model, d) float
        b before any feedback.
    discount : float in (0, 1]
        Weight of evidence that is one decision older.
    ridge : float
        Regulariser that discounting must not take away.
    stale_max : float
        Idle arms keep at least 1 / stale_max of their evidence.
    """

    def __init__(
        self,
        n_run: int,
        precision: Floats,
        moment: Floats,
        discount: float = 1.0,
        ridge: float = 1.0,
        stale_max: float = 50.0,
    ) -> None:
        n_model, self.n_dim = moment.shape
        inverse = np.linalg.inv(precision)
        self.start = np.einsum("mij,mj->mi", inverse, moment)
        self.inverse = np.tile(inverse, (n_run, 1, 1, 1))
        self.moment = np.tile(moment, (n_run, 1, 1))
        self.theta = np.tile(self.start, (n_run, 1, 1))
        self.discount = discount
        self.ridge = ridge
        self.stale_max = stale_max
        self._last = np.zeros((n_run, n_model))
        self._clock = np.zeros(n_run)
        self._turn = np.zeros((n_run, n_model), dtype=np.int64)

    def mean_and_sd(self, x: Floats) -> tuple[Floats, Floats]:
        """Return theta' x and sqrt(x' A^-1 x) of every arm, A discounted by how long the arm has been idle.

        Both are (n_run, n_model), for one request per run: ``x`` (n_run, d).
        """
        mean, sd = np.empty((2, *self._last.shape))
        _look(x, self.theta, self.inverse, self._last, self._clock, self.discount, self.stale_max, mean, sd)
        return mean, sd

    def update(self, run: Ints, model: Ints, x: Floats, y: Floats, t: Ints) -> None:
        """Take ratings of decisions ``t``: all ``(n,)``, ``x`` (n, d). One arm may stand several times."""
        _learn(
            run,
            model,
            x,
            y,
            t,
            self.start,
            self.inverse,
            self.moment,
            self.theta,
            self._last,
            self._turn,
            self.discount,
            self.ridge,
            self.stale_max,
        )
        np.maximum.at(self._clock, run, t)


@kernel
def _look(
    x: Floats,
    theta: Floats,
    inverse: Floats,
    last: Floats,
    clock: Floats,
    discount: float,
    stale_max: float,
    mean: Floats,
    sd: Floats,
) -> None:
    n_run, n_model, d = theta.shape
    for r in range(n_run):
        for m in range(n_model):
            own, about, variance = inverse[r, m], 0.0, 0.0
            for i in range(d):
                row = 0.0
                for j in range(d):
                    row += own[i, j] * x[r, j]
                variance += row * x[r, i]
                about += theta[r, m, i] * x[r, i]
            if discount < 1.0:
                variance /= max(discount ** (clock[r] - last[r, m]), 1.0 / stale_max)
            mean[r, m], sd[r, m] = about, np.sqrt(max(variance, 0.0))


@kernel
def _learn(
    run: Ints,
    model: Ints,
    x: Floats,
    y: Floats,
    t: Ints,
    start: Floats,
    inverse: Floats,
    moment: Floats,
    theta: Floats,
    last: Floats,
    turn: Ints,
    discount: float,
    ridge: float,
    stale_max: float,
) -> None:
    """Take one rating after the other."""
    d = x.shape[1]
    column, seen = np.empty(d), np.empty(d)
    for i in range(len(run)):
        r, m, own_x = run[i], model[i], x[i]
        own, b, w = inverse[r, m], moment[r, m], theta[r, m]
        if discount < 1.0:
            kept = max(discount ** max(t[i] - last[r, m], 0.0), 1.0 / stale_max)
            k, back = turn[r, m] % d, (1.0 - kept) * d * ridge
            own /= kept
            b *= kept
            column[:] = own[:, k]
            _subtract(own, column, back / (1.0 + back * column[k]))
            b[k] += back * start[m, k]
            last[r, m] = max(last[r, m], t[i])
            turn[r, m] += 1
        along = 1.0
        for j in range(d):
            seen[j] = 0.0
            for k in range(d):
                seen[j] += own[j, k] * own_x[k]
            along += seen[j] * own_x[j]
        _subtract(own, seen, 1.0 / along)
        b += y[i] * own_x
        for j in range(d):
            w[j] = 0.0
            for k in range(d):
                w[j] += own[j, k] * b[k]


@kernel
def _subtract(matrix: Floats, v: Floats, scale: float) -> None:
    """Take scale v v' off a matrix."""
    for j in range(len(v)):
        for k in range(len(v)):
            matrix[j, k] -= scale * v[j] * v[k]
