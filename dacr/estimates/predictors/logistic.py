"""Logistic regression with fractional labels, all models in one fit."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from dacr.core.background import one_thread
from dacr.core.registry import predictors
from dacr.estimates.predictors.base import Features, Predictor, checked
from dacr.types import Floats

_ROWS = 2**15
"""Rows that are turned at once."""
_CACHED = 2**12
"""Rows whose loss is worked out at once: what a processor's cache holds."""


@predictors.register("logistic")
class LogisticPredictor(Predictor):
    """One logistic regression per model: p_m(x) = sigma(w_m . x + b_m).

    The loss of a fractional label q is its cross-entropy -q log p - (1 - q) log(1 - p), which is what
    weights q and 1 - q on the labels 1 and 0 amount to. All models share ``x``, so one L-BFGS run with
    matrix products fits them together; the problem is separable and convex.

    Parameters
    ----------
    c : float
        Inverse strength of the ridge penalty ||w||^2 / (2 c), summed over the training rows as in
        scikit-learn's ``LogisticRegression(C=c)``. The intercept is not penalised.
    """

    def __init__(self, *, c: float = 10.0) -> None:
        self.c = c

    def fit(self, x: Features, y: Floats) -> LogisticPredictor:
        """Minimise the penalised cross-entropy with L-BFGS, starting from the base rates.

        The search runs in coordinates in which the curvature of the first step is the identity: with
        X'X / 4 + I / c = L L', the weights are w = L^-T v. The minimum is the same; it takes about a
        tenth of the iterations, because the columns of an SVD differ much in variance.
        """
        from scipy.linalg import cholesky, solve_triangular  # here: a saved router predicts and never fits
        from scipy.optimize import minimize

        x, y = checked(x, y)
        (n, n_feature), n_model = x.shape, y.shape[1]
        size = n_feature * n_model
        base = logit(np.clip(y.mean(axis=0), 1e-3, 1 - 1e-3))
        centre = x.mean(axis=0, dtype=np.float64)
        design = x - centre  # in double precision, and turned in place: as large as all that is fitted on
        curvature = design.T @ design / 4 + np.eye(n_feature) / self.c
        inverse = solve_triangular(cholesky(curvature, lower=True), np.eye(n_feature), lower=True).T
        for first in range(0, n, _ROWS):
            design[first : first + _ROWS] = design[first : first + _ROWS] @ inverse
        scale = 2.0 / np.sqrt(n)
        z, entropy = np.empty((n, n_model)), np.empty((n, n_model))  # once: steps are many, and their rows too
        error = z  # takes the place of the logits that it is made of

        def loss(flat: Floats) -> tuple[float, Floats]:
            v = flat[:size].reshape(n_feature, n_model)
            weights = inverse @ v
            np.matmul(design, v, out=z)
            np.add(z, flat[size:] * scale, out=z)
            agreement = np.vdot(y, z)
            for first in range(0, n, _CACHED):
                own = slice(first, first + _CACHED)
                # One exponential for both: p = 1 / (1 + e^-z), log(1 + e^z) = max(z, 0) + log(1 + e^-|z|).
                small = np.exp(-np.abs(z[own]))
                entropy[own] = np.maximum(z[own], 0.0) + np.log1p(small)
                error[own] = np.where(z[own] > 0, 1.0, small) / (1.0 + small) - y[own]
            value = entropy.sum() - agreement + (weights**2).sum() / (2 * self.c)
            slope = design.T @ error + inverse.T @ weights / self.c
            return value, np.concatenate([slope.ravel(), error.sum(axis=0) * scale])

        start = np.concatenate([np.zeros(size), base / scale])
        options = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-4 * np.sqrt(n)}
        with one_thread():  # steps are so short that a second thread would mostly wait, and burn time at it
            found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        self.weights_: Floats = inverse @ found.x[:size].reshape(n_feature, n_model)
        self.intercept_: Floats = found.x[size:] * scale - centre @ self.weights_
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` probabilities."""
        return expit(np.asarray(x, dtype=np.float64) @ self.weights_ + self.intercept_)
