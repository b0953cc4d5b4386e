"""What a call will cost: its mean, and an upper quantile to reserve."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from dacr.types import Floats, Ints

_FLOOR_USD = 1e-9


def cost_features(prompt_chars: Ints, question_chars: Ints, x: NDArray[np.float32]) -> Floats:
    """Return ``(n, 2 + n_feature)``: log lengths of the whole prompt and of the question, text features."""
    lengths = np.log1p(np.column_stack([prompt_chars, question_chars]).astype(np.float64))
    return np.hstack([lengths, np.asarray(x, dtype=np.float64)])


class LogRidge:
    """Ridge regression of the log of what a call takes, for each model."""

    def __init__(self, *, alpha: float = 10.0) -> None:
        self.alpha = alpha

    def fit_log(self, z: Floats, target: Floats, fold: Ints) -> Floats:
        """Fit on ``z`` (n, k) and logs ``target`` (n, n_model); return out-of-fold predictions, by ``fold`` (n,)."""
        from sklearn.linear_model import Ridge  # here: it takes most of a second, and fits are mostly cached

        held_out = np.empty_like(target)
        for k in np.unique(fold):
            inside = fold == k
            rest = ~inside if not inside.all() else inside
            fitted = Ridge(self.alpha, copy_X=False).fit(z[rest], target[rest])  # z[rest] is a copy already
            held_out[inside] = fitted.predict(z[inside]).reshape(inside.sum(), -1)
        ridge = Ridge(self.alpha).fit(z, target)
        # The numbers alone: what reads a fitted router needs no scikit-learn.
        self.slope_: Floats = ridge.coef_.reshape(target.shape[1], -1).T
        self.intercept_: Floats = ridge.intercept_
        self.low_: Floats = target.min(axis=0)
        self.high_: Floats = target.max(axis=0)
        return held_out

    def clip(self, logs: Floats) -> Floats:
        """Return logs within the range of training."""
        return np.clip(logs, self.low_, self.high_)


class CostPredictor(LogRidge):
    """Ridge regression of the log cost of each model, turned into a mean by a smearing factor.

    c_hat = exp(f(x)) * s, where s = sum(cost) / sum(exp(f)) over out-of-fold training predictions:
    exp of a predicted mean log is too low for the mean (Duan 1983, doi:10.1080/01621459.1983.10478017;
    the ratio form is less at the mercy of outliers). exp(f) stays within the model's training range: no question is
    taken for dearer or cheaper than any that was seen, but for the factor s, which is not cut off again, as the
    cut would bias the mean that s is there for.

    Parameters
    ----------
    upper : float
        The quantile of cost / exp(f) that ``cost_upper`` is read at.
    """

    def __init__(self, *, alpha: float = 10.0, upper: float = 0.95) -> None:
        super().__init__(alpha=alpha)
        self.upper = upper

    def fit(self, z: Floats, cost_usd: Floats, fold: Ints) -> Self:
        """Fit on ``z`` (n, k), ``cost_usd`` (n, n_model); ``fold`` (n,) for the out-of-fold residuals."""
        held_out = self.fit_log(z, np.log(np.maximum(cost_usd, _FLOOR_USD)), fold)
        median = np.exp(self.clip(held_out))
        self.smearing_: Floats = cost_usd.sum(axis=0) / median.sum(axis=0)
        self.upper_ratio_: Floats = np.quantile(cost_usd / median, self.upper, axis=0)
        self.out_of_fold_: Floats = median * self.smearing_
        return self

    def predict(self, z: Floats) -> tuple[Floats, Floats]:
        """Return mean and upper quantile, each ``(n, n_model)`` in USD per call."""
        median = np.exp(self.clip(z @ self.slope_ + self.intercept_))
        return median * self.smearing_, median * np.maximum(self.upper_ratio_, self.smearing_)
