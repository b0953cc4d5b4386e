"""One model for all pairs of question and model: a low-rank factorisation of the logits."""

from typing import Self

import numpy as np
from scipy.special import expit

from dacr.core.registry import predictors
from dacr.estimates.predictors.base import Features, Predictor
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.types import Floats


@predictors.register("joint")
class JointPredictor(Predictor):
    """logit p_m(x) = b_m + (x A) . u_m with rank r: models share a few directions of difficulty.

    The factors are the best rank-r approximation of the separate fits' weights in the metric of the
    training features (reduced-rank regression, Izenman 1975, doi:10.1016/0047-259X(75)90042-1), so
    that what one model teaches about a kind of question serves the others.
    """

    def __init__(self, *, rank: int = 3, c: float = 10.0) -> None:
        self.rank = rank
        self.c = c

    def fit(self, x: Features, y: Floats) -> Self:
        """Fit each model, then keep the ``rank`` directions that carry most of the logits' variance."""
        full = LogisticPredictor(c=self.c).fit(x, y)
        centred = np.array(x, dtype=np.float64)
        centre = centred.mean(axis=0)
        centred -= centre
        logits = centred @ full.weights_
        _, _, directions = np.linalg.svd(logits.T @ logits)
        kept = directions[: self.rank]
        self.weights_: Floats = full.weights_ @ kept.T @ kept
        self.intercept_: Floats = full.intercept_ + centre @ (full.weights_ - self.weights_)
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` probabilities."""
        return expit(np.asarray(x, dtype=np.float64) @ self.weights_ + self.intercept_)
