"""The contract of quality predictors: all models at once, fractional labels as they are."""

import inspect
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dacr.types import Floats

Features = NDArray[np.float32]


class Predictor:
    """Predict every model's quality from the features of a question.

    ``fit(x, y)`` takes ``x`` (n, n_feature) float32 and ``y`` (n, n_model) float in [0, 1];
    ``predict(x)`` returns (n, n_model) float in [0, 1].
    """

    name: ClassVar[str] = ""

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments by name; part of the cache key."""
        kinds = inspect.signature(type(self)).parameters.values()
        return {kind.name: getattr(self, kind.name) for kind in kinds if kind.kind is kind.KEYWORD_ONLY}

    def fit(self, x: Features, y: Floats) -> Self:
        """Learn from training rows."""
        raise NotImplementedError

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` predicted quality."""
        raise NotImplementedError


def checked(x: Features, y: Floats) -> tuple[Features, Floats]:
    """Return ``x`` as it is and ``y`` as float64, or raise ValueError where shapes or values are unsound."""
    x, y = np.asarray(x), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) == 0:
        raise ValueError(f"expected x (n, n_feature) and y (n, n_model) with n > 0, got {x.shape} and {y.shape}")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise ValueError("features and qualities must be finite; drop or impute missing values first")
    return x, y
