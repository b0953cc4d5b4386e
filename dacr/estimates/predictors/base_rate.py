"""The base rate of each model: the baseline that a predictor must beat."""

from typing import Self

import numpy as np

from dacr.core.registry import predictors
from dacr.estimates.predictors.base import Features, Predictor, checked
from dacr.types import Floats


@predictors.register("base_rate")
class BaseRatePredictor(Predictor):
    """Predict each model's mean training quality, whatever the question."""

    def __init__(self) -> None:
        pass

    def fit(self, x: Features, y: Floats) -> Self:
        """Store the mean of ``y`` over rows, shape ``(n_model,)``."""
        self.rate_: Floats = checked(x, y)[1].mean(axis=0)
        return self

    def predict(self, x: Features) -> Floats:
        """Return the same row for each question."""
        return np.repeat(self.rate_[None, :], len(x), axis=0)
