"""Out-of-fold predictions: what a predictor says about rows that it was not fitted on.

Everything that is fitted on top of predictions (calibrators, thresholds, priors, judges) uses these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.estimates.predictors.base import Features, Predictor
from dacr.types import Floats, Ints


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


def out_of_fold(make: Callable[[], Predictor], x: Features, y: Floats, fold: Ints, n_jobs: int = 1) -> Floats:
    """Predict each row with a predictor fitted on the other folds.

    Parameters
    ----------
    make : callable
        Returns a fresh predictor.
    x : (n, n_feature), y : (n, n_model), fold : (n,) int
    n_jobs : int
        Threads; the result is the same for any number.

    Returns
    -------
    (n, n_model) float. With a single fold there is nothing to leave out: every row gets the mean of ``y``.
    """
    out = np.empty_like(np.asarray(y, dtype=np.float64))

    def fill(k: int) -> None:
        inside = fold == k
        if inside.all():
            out[inside] = y.mean(axis=0)
        else:
            out[inside] = make().fit(x[~inside], y[~inside]).predict(x[inside])

    Parallel(n_jobs, prefer="threads", require="sharedmem")(delayed(fill)(k) for k in np.unique(fold))
    return out
