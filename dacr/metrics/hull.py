"""The non-decreasing upper convex hull of (cost, quality) points, one frontier or many at once.

The hull is what a user can buy: between two settings by flipping a coin for each request, right of the
best one by not spending the rest. So it never falls, and dominated points, duplicates and the order of
the points do not matter.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dacr.core.errors import UserError
from dacr.types import Floats


def checked_points(cost: ArrayLike, quality: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as float arrays of one shape; refuse NaN, infinity, emptiness and unequal shapes."""
    x = np.asarray(cost, dtype=np.float64)
    y = np.asarray(quality, dtype=np.float64)
    if x.shape != y.shape or x.ndim < 1:
        raise UserError(f"a frontier needs one quality per cost; got shapes {x.shape} and {y.shape}")
    if x.shape[-1] == 0:
        raise UserError("a frontier needs at least one point; got none")
    bad = ~(np.isfinite(x) & np.isfinite(y))
    if bad.any():
        raise UserError(
            f"a frontier needs finite numbers; {int(bad.sum())} of {x.size} points are NaN or infinite; drop "
            "those settings, or find out why they have no cost or quality"
        )
    return x, y


def upper_hull(cost: ArrayLike, quality: ArrayLike) -> tuple[Floats, Floats]:
    """Return the vertices of the non-decreasing upper convex hull, in O(n log n).

    Parameters
    ----------
    cost : (n,) float, USD per request
    quality : (n,) float

    Returns
    -------
    cost, quality : (n_vertex,) float
        Both strictly rising; the first is the cheapest point (the best of the cheapest), the last is the
        best one (the cheapest of the best).

    Raises
    ------
    UserError
        NaN, infinity, no point, or unequal lengths.

    References
    ----------
    Andrew (1979), Another efficient algorithm for convex hulls in two dimensions (the monotone chain).

    Examples
    --------
    >>> x, y = upper_hull([1.0, 2.0, 3.0, 4.0], [0.2, 0.3, 0.8, 0.7])
    >>> x.tolist(), y.tolist()
    ([1.0, 3.0], [0.2, 0.8])
    """
    x, y = checked_points(cost, quality)
    if x.ndim != 1:
        raise UserError(f"expected one list of points, got an array of shape {x.shape}")
    order = np.lexsort((-y, x))
    x, y = x[order], y[order]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(y)[:-1]])
    rises = y > best_before
    kept: list[tuple[float, float]] = []
    for point in zip(x[rises].tolist(), y[rises].tolist(), strict=True):
        while len(kept) > 1 and not _turns_right(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    vertices = np.array(kept)
    return vertices[:, 0], vertices[:, 1]


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - b[0]) > (c[1] - b[1]) * (b[0] - a[0])


def areas(cost: ArrayLike, quality: ArrayLike, low: ArrayLike, high: ArrayLike) -> Floats:
    """Return the mean height of many hulls between two costs: one hull for each row.

    The same number as ``Frontier.of(cost[i], quality[i]).area(low[i], high[i])`` for every row i, for
    resampled frontiers, of which there are thousands.

    Parameters
    ----------
    cost, quality : (n_row, n_point) float
    low, high : float or (n_row,) float, USD
        Ends of the cost range. Every row needs a point at or left of ``low``.

    Returns
    -------
    (n_row,) float, in units of quality: integral / (high - low); the height at ``low`` where both are equal.
    """
    x, y = checked_points(np.atleast_2d(cost), np.atleast_2d(quality))
    n_row, n_point = x.shape
    left = np.broadcast_to(np.asarray(low, dtype=np.float64), (n_row,))
    right = np.broadcast_to(np.asarray(high, dtype=np.float64), (n_row,))
    order = np.argsort(x, axis=1, kind="stable")
    x = np.take_along_axis(x, order, axis=1)
    # Free disposal: what is bought at a cost is had at every higher one. It makes the hull non-decreasing.
    y = np.maximum.accumulate(np.take_along_axis(y, order, axis=1), axis=1)
    if (x[:, 0] > left * (1 + 1e-12)).any():
        raise UserError(
            "a frontier starts right of its cost range; add the cheapest single model to its points "
            f"(starts at {x[:, 0].max():g} USD, range from {left.min():g} USD)"
        )
    rows = np.arange(n_row)
    stack = np.zeros((n_row, n_point), dtype=np.int64)
    top = np.zeros(n_row, dtype=np.int64)
    for j in range(1, n_point):
        top -= (x[rows, stack[rows, top]] == x[:, j]).astype(np.int64)  # same cost: the later one is at least as good
        while True:
            a, b = stack[rows, np.maximum(top - 1, 0)], stack[rows, np.maximum(top, 0)]
            rise_ab, run_ab = y[rows, b] - y[rows, a], x[rows, b] - x[rows, a]
            rise_bc, run_bc = y[:, j] - y[rows, b], x[:, j] - x[rows, b]
            pop = (top > 0) & (rise_ab * run_bc <= rise_bc * run_ab)
            if not pop.any():
                break
            top -= pop
        top += 1
        stack[rows, top] = j
    return _mean_heights(x, y, stack, top, left, right)


def _mean_heights(
    x: Floats, y: Floats, stack: NDArray[np.int64], top: NDArray[np.int64], left: Floats, right: Floats
) -> Floats:
    """Integrate each row's hull (vertices ``stack[:, : top + 1]``) from left to right; flat after its last vertex."""
    n_row, n_point = x.shape
    column = np.minimum(np.arange(n_point)[None, :], top[:, None])  # past the last vertex: repeat it (no width)
    vertex = np.take_along_axis(stack, column, axis=1)
    vx, vy = np.take_along_axis(x, vertex, axis=1), np.take_along_axis(y, vertex, axis=1)
    width = np.diff(vx, axis=1)
    slope = np.divide(np.diff(vy, axis=1), width, out=np.zeros_like(width), where=width > 0)
    a = np.clip(vx[:, :-1], left[:, None], right[:, None])
    b = np.clip(vx[:, 1:], left[:, None], right[:, None])
    middle = vy[:, :-1] + slope * ((a + b) / 2 - vx[:, :-1])
    inside = ((b - a) * middle).sum(axis=1)
    flat = np.maximum(right - np.maximum(vx[:, -1], left), 0.0) * vy[:, -1]
    at_left = np.array([np.interp(left[i], vx[i], vy[i]) for i in np.flatnonzero(right <= left)])
    span = right - left
    out: Floats = np.divide(inside + flat, span, out=np.zeros(n_row), where=span > 0)
    out[right <= left] = at_left
    return out
