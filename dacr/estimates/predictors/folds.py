"""Out-of-fold predictions: what a predictor says about rows that it was not fitted on.

Everything that is fitted on top of predictions (calibrators, thresholds, priors, judges) uses these.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.estimates.predictors.base import Features, Predictor
from dacr.types import Bools, Floats, Ints


def random_folds(qid: Sequence[str], n_fold: int = 5) -> Ints:
    """Return a fold per query, drawn by query id: shape ``(n,)``, values 0 .. n_fold - 1."""
    draw = keyed_uniform(keys_of(qid), 1, seed_for("folds"))[:, 0]
    rank = np.empty(len(draw), dtype=np.int64)
    rank[np.argsort(draw, kind="stable")] = np.arange(len(draw))
    return rank % min(n_fold, len(draw))


def family_folds(family: NDArray[np.object_], n_fold: int = 8) -> Ints:
    """Return a fold per query so that no family is split: leave-one-domain-out, shape ``(n,)``.

    Where there are more than ``n_fold`` families the small ones share folds: largest first, each goes
    to the fold with the fewest rows.
    """
    names, code = np.unique(family.astype(str), return_inverse=True)
    size = np.bincount(code)
    load = np.zeros(min(n_fold, len(names)), dtype=np.int64)
    fold_of = np.zeros(len(names), dtype=np.int64)
    for name in np.argsort(-size, kind="stable"):
        fold_of[name] = np.argmin(load)
        load[fold_of[name]] += size[name]
    return fold_of[code]


Group = tuple[Any, Any]
"""Columns of models that are fitted together, and the training rows that they are fitted on."""


def recorded_together(recorded: Bools | None) -> list[Group]:
    """Return groups of models that were recorded on the same rows: (columns, rows), each an index array.

    Slices of everything where everything was recorded (``recorded`` is (n, n_model), or None).
    """
    if recorded is None or recorded.all():
        return [(slice(None), slice(None))]
    patterns, group = np.unique(recorded, axis=1, return_inverse=True)
    return [(np.flatnonzero(group.ravel() == g), np.flatnonzero(patterns[:, g])) for g in range(patterns.shape[1])]


def out_of_fold(
    make: Callable[[], Predictor], x: Features, y: Floats, fold: Ints, n_jobs: int = 1, known: Any = slice(None)
) -> Floats:
    """Predict each row with a predictor fitted on the other folds.

    Parameters
    ----------
    make : callable
        Returns a fresh predictor.
    x : (n, n_feature), y : (n, n_model), fold : (n,) int
    n_jobs : int
        Threads; the result is the same for any number.
    known : index of rows, optional
        Those to fit on; all by default. The others are predicted too.

    Returns
    -------
    (n, n_model) float. Where nothing is left to fit on, as with a single fold, rows get the mean of ``y``.
    """
    out = np.empty_like(np.asarray(y, dtype=np.float64))
    fit_on = np.zeros(len(y), dtype=bool)
    fit_on[known] = True

    def fill(k: int) -> None:
        inside = fold == k
        rest = ~inside & fit_on
        out[inside] = make().fit(x[rest], y[rest]).predict(x[inside]) if rest.any() else y[fit_on].mean(axis=0)

    Parallel(n_jobs, prefer="threads", require="sharedmem")(delayed(fill)(k) for k in np.unique(fold))
    return out
