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

    def mean(self, x: Floats) -> Floats:
        """Return theta' x of every arm: (n_run, n_model), for one request per run, ``x`` (n_run, d)."""
        return (self.theta @ x[:, :, None])[:, :, 0]

    def sd(self, x: Floats) -> Floats:
        """Return sqrt(x' A^-1 x), A discounted by how long the arm has been idle: (n_run, n_model)."""
        n_run, n_model, d, _ = self.inverse.shape
        seen = (self.inverse.reshape(n_run, n_model * d, d) @ x[:, :, None]).reshape(n_run, n_model, d)
        variance = (seen @ x[:, :, None])[:, :, 0]
        if self.discount < 1.0:
            variance = variance / self._kept(self._clock[:, None] - self._last)
        return np.sqrt(np.maximum(variance, 0.0))

    def update(self, run: Ints, model: Ints, x: Floats, y: Floats, t: Ints) -> None:
        """Take ratings of decisions ``t``: all ``(n,)``, ``x`` (n, d). One arm may stand several times."""
        pending = np.arange(len(run))
        arm = run * self._last.shape[1] + model
        while len(pending):
            # Ratings of one arm go one after the other; ratings of different arms together.
            _, first = np.unique(arm[pending], return_index=True)
            now = pending[first]
            self._step(run[now], model[now], x[now], y[now], t[now])
            pending = np.delete(pending, first)
        np.maximum.at(self._clock, run, t)

    def _step(self, run: Ints, model: Ints, x: Floats, y: Floats, t: Ints) -> None:
        inverse, moment = self.inverse[run, model], self.moment[run, model]
        if self.discount < 1.0:
            last = self._last[run, model]
            kept = self._kept(np.maximum(t - last, 0.0))
            j = self._turn[run, model] % self.n_dim
            rows, back = np.arange(len(run)), (1.0 - kept) * self.n_dim * self.ridge
            inverse = inverse / kept[:, None, None]
            moment = moment * kept[:, None]
            column = inverse[rows, :, j]
            shrink = back / (1.0 + back * column[rows, j])
            inverse -= shrink[:, None, None] * column[:, :, None] * column[:, None, :]
            moment[rows, j] += back * self.start[model, j]
            self._last[run, model] = np.maximum(last, t)
            self._turn[run, model] += 1
        seen = (inverse @ x[:, :, None])[:, :, 0]
        scale = 1.0 / (1.0 + (seen * x).sum(axis=1))
        inverse -= scale[:, None, None] * seen[:, :, None] * seen[:, None, :]
        moment = moment + y[:, None] * x
        self.inverse[run, model], self.moment[run, model] = inverse, moment
        self.theta[run, model] = (inverse @ moment[:, :, None])[:, :, 0]

    def _kept(self, age: Floats) -> Floats:
        return np.maximum(self.discount**age, 1.0 / self.stale_max)
