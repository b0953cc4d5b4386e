"""Nearest neighbours: the mean quality of the most similar training questions."""

from typing import Self

import numpy as np

from dacr.core.registry import predictors
from dacr.core.rng import generator
from dacr.estimates.predictors.base import Features, Predictor, checked
from dacr.types import Floats

_BLOCK = 2048


@predictors.register("knn")
class KnnPredictor(Predictor):
    """Mean over the k nearest training rows by cosine similarity (features have unit length).

    Reference: RouterBench's KNN router, arXiv 2403.12031; also arXiv 2505.12601.

    Parameters
    ----------
    k : int
        Neighbours; at most the number of indexed rows.
    max_index : int
        The index holds a seeded subsample of at most this many training rows, so that time stays
        linear in the number of questions.
    """

    def __init__(self, *, k: int = 40, max_index: int = 6000) -> None:
        self.k = k
        self.max_index = max_index

    def fit(self, x: Features, y: Floats) -> Self:
        """Index training rows."""
        checked(x, y)
        rows = np.arange(len(x))
        if len(rows) > self.max_index:
            rows = np.sort(generator("knn index").permutation(len(rows))[: self.max_index])
        self.index_ = np.ascontiguousarray(x[rows], dtype=np.float32)
        self.quality_: Floats = np.asarray(y, dtype=np.float64)[rows]
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` neighbour means."""
        return neighbour_means(x, self.index_, self.quality_, self.k)


def neighbour_means(x: Features, index: Features, known: Floats, k: int) -> Floats:
    """Return the mean over the k rows of an index that are nearest to each of some rows, block by block.

    Parameters
    ----------
    x : (n, d) float32
    index : (n_index, d) float32
        Both of unit length.
    known : (n_index, n_known) float
        What is averaged.

    Returns
    -------
    (n, n_known) float
    """
    k = min(k, len(index))
    out = np.empty((len(x), known.shape[1]))
    for start in range(0, len(x), _BLOCK):
        distance = -np.asarray(x[start : start + _BLOCK], dtype=np.float32) @ index.T
        nearest = np.sort(np.argpartition(distance, k - 1, axis=1)[:, :k], axis=1)  # summed in one order
        out[start : start + _BLOCK] = known[nearest].mean(axis=1)
    return out
