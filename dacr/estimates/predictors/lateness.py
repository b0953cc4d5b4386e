"""Whether a call will be late: P(latency > tau)."""

from __future__ import annotations

import numpy as np

from dacr.types import Floats, Ints


class LatenessPredictor:
    """Ridge regression of the log latency of each model, and the distribution of its residuals.

    P(latency > tau) = 1 - F_m(log tau - f_m(x)), with F_m the empirical distribution of the out-of-fold
    residuals, add-one smoothed so that nothing is impossible.
    """

    def __init__(self, *, alpha: float = 10.0) -> None:
        self.alpha = alpha

    def fit(self, z: Floats, latency_s: Floats, tau_s: float, fold: Ints) -> LatenessPredictor:
        """Fit on ``z`` (n, k) and ``latency_s`` (n, n_model), all recorded; ``fold`` (n,)."""
        from sklearn.linear_model import Ridge  # here: it takes most of a second, and fits are mostly cached

        target = np.log(np.maximum(latency_s, 1e-6))
        self.log_tau_ = float(np.log(tau_s))
        held_out = np.empty_like(target)
        for k in np.unique(fold):
            inside = fold == k
            rest = ~inside if not inside.all() else inside
            held_out[inside] = Ridge(self.alpha).fit(z[rest], target[rest]).predict(z[inside]).reshape(inside.sum(), -1)
        self.residuals_: Floats = np.sort(target - held_out, axis=0)
        self.low_, self.high_ = target.min(axis=0), target.max(axis=0)
        ridge = Ridge(self.alpha).fit(z, target)
        self.slope_: Floats = ridge.coef_.reshape(target.shape[1], -1).T
        self.intercept_: Floats = ridge.intercept_
        self.out_of_fold_: Floats = self._survival(held_out)
        return self

    def predict(self, z: Floats) -> Floats:
        """Return ``(n, n_model)`` probabilities of a late answer."""
        return self._survival(z @ self.slope_ + self.intercept_)

    def _survival(self, log_latency: Floats) -> Floats:
        gap = self.log_tau_ - np.clip(log_latency, self.low_, self.high_)
        n = len(self.residuals_)
        out = np.empty_like(gap)
        for m in range(gap.shape[1]):
            above = n - np.searchsorted(self.residuals_[:, m], gap[:, m], side="right")
            out[:, m] = (above + 0.5) / (n + 1.0)
        return out
