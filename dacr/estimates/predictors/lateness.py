"""Whether a call will be late: P(latency > tau)."""

from typing import Self

import numpy as np

from dacr.estimates.predictors.cost import LogRidge
from dacr.types import Floats, Ints


class LatenessPredictor(LogRidge):
    """Ridge regression of the log latency of each model, and the distribution of its residuals.

    P(latency > tau) = 1 - F_m(log tau - f_m(x)), with F_m the empirical distribution of the out-of-fold
    residuals, add-one smoothed so that nothing is impossible.
    """

    def fit(self, z: Floats, latency_s: Floats, tau_s: float, fold: Ints) -> Self:
        """Fit on ``z`` (n, k) and ``latency_s`` (n, n_model), all recorded; ``fold`` (n,)."""
        target = np.log(np.maximum(latency_s, 1e-6))
        self.log_tau_ = float(np.log(tau_s))
        held_out = self.fit_log(z, target, fold)
        self.residuals_: Floats = np.sort(target - held_out, axis=0)
        self.out_of_fold_: Floats = self._survival(held_out)
        return self

    def predict(self, z: Floats) -> Floats:
        """Return ``(n, n_model)`` probabilities of a late answer."""
        return self._survival(z @ self.slope_ + self.intercept_)

    def _survival(self, log_latency: Floats) -> Floats:
        gap = self.log_tau_ - self.clip(log_latency)
        n = len(self.residuals_)
        out = np.empty_like(gap)
        for m in range(gap.shape[1]):
            above = n - np.searchsorted(self.residuals_[:, m], gap[:, m], side="right")
            out[:, m] = (above + 0.5) / (n + 1.0)
        return out
