"""One ridge regression per (run, model), kept up to date by rank-one steps: what linear bandits share.

For each arm a precision A and a moment b, with theta = A^-1 b. One rating y of a request x, Delta decisions
after the arm's last one and with g = discount^Delta:

    A <- g A + x x' + (1 - g) d ridge e_j e_j',     b <- g b + y x + (1 - g) d ridge theta0_j e_j.

The last terms hand back, one coordinate j after the other, the regulariser that forgetting takes away
(discounted LinUCB adds (1 - g) ridge I at every step; a d-th of the steps with d times the weight is the same
on average and keeps the step of rank one). With discount 1 they vanish, and this is plain ridge regression.
Only A^-1 is stored, of which the lower triangle, row by row: x' A^-1 x is then one product with the x_i x_j, which all
arms share. Sherman and Morrison (1950), doi:10.1214/aoms/1177729893, give its step. Most arms of most runs are never
rated: what all of these say of a request is worked out once.
"""

from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.types import Floats, Ints

ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN = np.arange(8, dtype=np.uint64)
"""Places in an array that can't be negative: a kernel asks that of every signed place, and is slower by half."""


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
        lower = np.tril_indices(self.n_dim)
        # Kernels are compiled for each way to lie in memory: one run lies as many do.
        packed = np.ascontiguousarray(inverse[:, lower[0], lower[1]])
        self.inverse: Floats = np.tile(packed, (n_run, 1, 1))
        self.moment = np.tile(moment, (n_run, 1, 1))
        self.theta = np.tile(self.start, (n_run, 1, 1))
        self.discount = discount
        self.ridge = ridge
        self.stale_max = stale_max
        self._last = np.zeros((n_run, n_model))
        self._clock = np.zeros(n_run)
        self._rated = np.zeros((n_run, n_model), dtype=np.int64)
        self._unrated = self.inverse[:1].copy(), self.start[None]

    @property
    def state(self) -> tuple[Any, ...]:
        """All of it, as kernels take it."""
        how = self.discount, self.ridge, self.stale_max
        return self.start, self.inverse, self.moment, self.theta, self._last, self._clock, self._rated, how

    def unrated(self, x: Floats) -> Floats:
        """Return theta' x and x' A^-1 x of arms before any rating, for requests (n, d): (2, n, n_model)."""
        out = np.empty((2, len(x), len(self.start)))
        _look_unrated(x, *self._unrated, out)
        return out


@kernel
def look(row: Ints, x: Floats, unrated: Floats, state: Any, mean: Floats, sd: Floats) -> None:
    """Write theta' x and sqrt(x' A^-1 x) of each run's arms into ``mean`` and ``sd``, (n_run, n_model).

    Parameters
    ----------
    row : (n_run,) int
        Of ``x``, (n, d), and of ``unrated`` (:meth:`RidgeArms.unrated`).
    """
    _, inverse, _, theta, last, clock, rated, (discount, _, stale_max) = state
    products = np.empty(inverse.shape[2])
    # Arrays and places, no slices: each slice would be counted in and out.
    for r in range(len(row)):
        q = row[r]
        _multiply(x, q, products)
        for m in range(theta.shape[1]):
            if rated[r, m] == 0:
                mean[r, m], variance = unrated[0, q, m], unrated[1, q, m]
            else:
                mean[r, m], variance = _about(x, q, theta, r, m), _spread(products, inverse, r, m)
            if discount < 1.0:
                variance /= max(discount ** (clock[r] - last[r, m]), 1.0 / stale_max)
            sd[r, m] = np.sqrt(max(variance, 0.0))


@kernel
def _look_unrated(x: Floats, inverse: Floats, theta: Floats, out: Floats) -> None:
    products = np.empty(inverse.shape[2])
    for row in range(len(x)):
        _multiply(x, row, products)
        for m in range(theta.shape[1]):
            out[0, row, m], out[1, row, m] = _about(x, row, theta, 0, m), _spread(products, inverse, 0, m)


@kernel
def _multiply(x: Floats, row: int, products: Floats) -> None:
    """Write the x_i x_j with i >= j, those with i > j twice."""
    n = ZERO
    for i in range(np.uint64(x.shape[1])):
        twice = 2.0 * x[row, i]
        for j in range(i):
            products[n + j] = twice * x[row, j]
        products[n + i] = x[row, i] * x[row, i]
        n += i + ONE


@kernel
def _about(x: Floats, row: int, theta: Floats, r: int, m: int) -> float:
    about = 0.0
    for i in range(x.shape[1]):
        about += theta[r, m, i] * x[row, i]
    return about


@kernel
def _spread(products: Floats, inverse: Floats, r: int, m: int) -> float:
    n = len(products)
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    # Eight sums side by side, since one must wait for each of its terms.
    for k in range(n // 8):
        i = np.uint64(8 * k)
        s0 += inverse[r, m, i] * products[i]
        s1 += inverse[r, m, i + ONE] * products[i + ONE]
        s2 += inverse[r, m, i + TWO] * products[i + TWO]
        s3 += inverse[r, m, i + THREE] * products[i + THREE]
        s4 += inverse[r, m, i + FOUR] * products[i + FOUR]
        s5 += inverse[r, m, i + FIVE] * products[i + FIVE]
        s6 += inverse[r, m, i + SIX] * products[i + SIX]
        s7 += inverse[r, m, i + SEVEN] * products[i + SEVEN]
    for j in range(n - n % 8, n):
        s0 += inverse[r, m, j] * products[j]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@kernel
def learn_ratings(run: Ints, model: Ints, row: Ints, x: Floats, y: Floats, t: Ints, state: Any) -> None:
    """Take one rating after the other: all ``(n,)``, ``row`` those of ``x``; NaN is none."""
    start, inverse, moment, theta, last, clock, rated, (discount, ridge, stale_max) = state
    d = x.shape[1]
    column, seen = np.empty(d), np.empty(d)
    for i in range(len(run)):
        if np.isnan(y[i]):
            continue
        r, m, own_x = run[i], model[i], x[row[i]]
        own, b = inverse[r, m], moment[r, m]
        if discount < 1.0:
            kept = max(discount ** max(t[i] - last[r, m], 0.0), 1.0 / stale_max)
            k, back = rated[r, m] % d, (1.0 - kept) * d * ridge
            own /= kept
            b *= kept
            for j in range(d):
                column[j] = own[_place(j, k)]
            _subtract(own, column, back / (1.0 + back * column[k]))
            b[k] += back * start[m, k]
            last[r, m] = max(last[r, m], t[i])
        rated[r, m] += 1
        _times(own, own_x, seen)
        _subtract(own, seen, 1.0 / (1.0 + (seen * own_x).sum()))
        b += y[i] * own_x
        _times(own, b, theta[r, m])
        clock[r] = max(clock[r], t[i])


@kernel
def _place(i: int, j: int) -> int:
    """Return where entry (i, j) of a symmetric matrix lies."""
    return i * (i + 1) // 2 + j if i >= j else j * (j + 1) // 2 + i


@kernel
def _times(matrix: Floats, v: Floats, out: Floats) -> None:
    """Write the product of a symmetric matrix and a vector."""
    n = ZERO
    for i in range(np.uint64(len(v))):
        out[i], own, total = 0.0, v[i], 0.0
        for j in range(i):
            out[j] += matrix[n + j] * own
        for j in range(i):
            total += matrix[n + j] * v[j]
        out[i] += total + matrix[n + i] * own
        n += i + ONE


@kernel
def _subtract(matrix: Floats, v: Floats, scale: float) -> None:
    """Take scale v v' off a symmetric matrix."""
    n = ZERO
    for i in range(np.uint64(len(v))):
        own = scale * v[i]
        for j in range(i + ONE):
            matrix[n + j] -= own * v[j]
        n += i + ONE
