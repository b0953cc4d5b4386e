"""Gradient-boosted trees on the text features: a non-linear predictor for those who can wait."""

from typing import Self

import numpy as np

from dacr.core.background import one_thread
from dacr.core.registry import predictors
from dacr.core.rng import generator
from dacr.estimates.predictors.base import Features, Predictor, checked
from dacr.types import Floats


@predictors.register("boosting")
class BoostingPredictor(Predictor):
    """One boosted regression of the quality per model (scikit-learn), clipped to [0, 1].

    Parameters
    ----------
    max_row : int
        Each fit takes a seeded subsample of at most this many rows.
    """

    def __init__(self, *, max_iter: int = 80, learning_rate: float = 0.1, max_row: int = 8000) -> None:
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_row = max_row

    def fit(self, x: Features, y: Floats) -> Self:
        """Fit one ensemble per model."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # here: it takes a second

        x, y = checked(x, y)
        rows = generator("boosting rows").permutation(len(x))[: self.max_row]
        x64, y64 = x[rows].astype(np.float64), y[rows]
        # One thread: fits of different folds share the cores already, and threads that wait for each other crawl.
        with one_thread():
            self.ensembles_ = [
                HistGradientBoostingRegressor(
                    max_iter=self.max_iter, learning_rate=self.learning_rate, early_stopping=False, random_state=0
                ).fit(x64, y64[:, m])
                for m in range(y64.shape[1])
            ]
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` predictions."""
        x64 = np.asarray(x, dtype=np.float64)
        with one_thread():
            return np.clip(np.column_stack([ensemble.predict(x64) for ensemble in self.ensembles_]), 0, 1)
