"""A small neural network on the text features: one hidden layer that all models share."""

import warnings
from typing import Self

import numpy as np

from dacr.core.background import one_thread
from dacr.core.registry import predictors
from dacr.core.rng import generator
from dacr.estimates.predictors.base import Features, Predictor, checked
from dacr.types import Floats

LEAST = 50
"""Training rows below which there is no network, but each model's base rate."""


@predictors.register("mlp")
class MlpPredictor(Predictor):
    """A perceptron with one hidden layer and one output per model (scikit-learn), squared loss, clipped to [0, 1].

    Squared loss is proper for fractional qualities. What one model teaches of a question's difficulty, the shared
    layer knows for the others. A tenth of the rows says when to stop: text features are many and say little, and a
    network that goes on learns them by heart.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer.
    alpha : float
        Ridge penalty.
    epochs : int
        Passes over the training rows at most.
    max_row : int
        Each fit takes a seeded subsample of at most this many rows.

    References
    ----------
    Hu et al. (2024), RouterBench, arXiv 2403.12031: an MLP router is one of its baselines.
    """

    def __init__(self, *, hidden: int = 64, alpha: float = 1.0, epochs: int = 100, max_row: int = 20_000) -> None:
        self.hidden = hidden
        self.alpha = alpha
        self.epochs = epochs
        self.max_row = max_row

    def fit(self, x: Features, y: Floats) -> Self:
        """Fit the network by Adam, to what is above or below the base rates."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor  # here: it takes a second

        x, y = checked(x, y)
        rows = generator("mlp rows").permutation(len(x))[: self.max_row]
        x64, y64 = x[rows].astype(np.float64), y[rows]
        self.base_, self.centre_ = y64.mean(axis=0), x64.mean(axis=0)
        self.scale_ = float(x64.std(axis=0).max()) or 1.0  # one for all: weak features stay weak
        self.network_ = None
        if len(x64) < LEAST:
            return self
        network = MLPRegressor(
            hidden_layer_sizes=(self.hidden,),
            alpha=self.alpha,
            learning_rate_init=0.005,
            max_iter=self.epochs,
            early_stopping=True,
            random_state=0,
        )
        about = y64 - self.base_
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so many passes are what was asked for
            # One output is a column to the library as to us.
            network.fit(self._scaled(x64), about if about.shape[1] > 1 else about[:, 0])
        # On the rows that said when to stop it has to say more than base rates do. Of one class nothing can be said.
        if about.any() and network.best_validation_score_ > 0:
            self.network_ = network
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` predictions."""
        if self.network_ is None:
            return np.tile(self.base_, (len(x), 1))
        with one_thread():
            made = self.network_.predict(self._scaled(np.asarray(x, dtype=np.float64)))
        return np.clip(self.base_ + made.reshape(len(made), -1), 0.0, 1.0)

    def _scaled(self, x: Floats) -> Floats:
        return (x - self.centre_) / self.scale_
