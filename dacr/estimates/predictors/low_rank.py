"""For hundreds of models: the features predict a few directions that all models share."""

from typing import Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from dacr.core.registry import predictors
from dacr.estimates.predictors.base import Features, Predictor
from dacr.types import Floats

_BLOCK_ROWS = 4096


@predictors.register("low_rank")
class LowRankPredictor(Predictor):
    r"""p_m(x) = b_m + (x - centre) A u_m with r directions: ridge regression of rank r on centred qualities.

    With centred features X and qualities Y, the ridge weights are W = (X'X + alpha I)^-1 X'Y, and the rank-r fit
    keeps the r leading eigenvectors V of the fitted qualities' Gram matrix,

    .. math:: \hat W_r = W V V', \qquad W' (X'X + \alpha I)\, W = V \Lambda V' + \text{rest},

    which minimises ||Y - X W||^2 + alpha ||W||^2 among all W of rank r (reduced-rank ridge regression: Mukherjee
    and Zhu 2011, doi:10.1002/sam.10138; without the penalty Izenman 1975, doi:10.1016/0047-259X(75)90042-1).
    Predictions are clipped to [0, 1].

    One pass over the rows in blocks gathers X'X and X'Y, so that neither a copy of Y nor a fit per model is needed:
    time is linear in rows and in models, memory beside Y is that of one block. The eigenvectors are those of a
    matrix with as many rows as features, not as models. It is a least-squares fit of the expected quality,
    fractional labels as they are. The logit is what ``logistic`` and ``joint`` fit, at some hundred times the time.

    Parameters
    ----------
    rank : int
        Directions kept; at most the number of features.
    alpha : float
        Ridge penalty, in units of the features' mean square (of unit-length rows: 1 / n_feature).
    """

    def __init__(self, *, rank: int = 8, alpha: float = 10.0) -> None:
        self.rank = rank
        self.alpha = alpha

    def fit(self, x: Features, y: Floats) -> Self:
        """Gather the moments block by block, solve, keep the leading directions."""
        if np.ndim(x) != 2 or np.ndim(y) != 2 or len(x) != len(y) or len(x) == 0:
            raise ValueError(
                f"expected x (n, n_feature) and y (n, n_model), n > 0, got {np.shape(x)} and {np.shape(y)}"
            )
        (n, n_feature), n_model = x.shape, y.shape[1]
        gram, cross = np.zeros((n_feature, n_feature)), np.zeros((n_feature, n_model))
        x_sum, y_sum = np.zeros(n_feature), np.zeros(n_model)
        for start in range(0, n, _BLOCK_ROWS):
            rows = np.asarray(x[start : start + _BLOCK_ROWS], dtype=np.float64)
            quality = np.asarray(y[start : start + _BLOCK_ROWS], dtype=np.float64)
            if not np.isfinite(rows).all() or not np.isfinite(quality).all():
                raise ValueError("features and qualities must be finite; drop or impute missing values first")
            gram += rows.T @ rows
            cross += rows.T @ quality
            x_sum += rows.sum(axis=0)
            y_sum += quality.sum(axis=0)
        centre, self.rate_ = x_sum / n, y_sum / n
        gram -= n * np.outer(centre, centre)
        cross -= n * np.outer(centre, self.rate_)
        scale = max(float(np.trace(gram)) / max(n * n_feature, 1), 1e-12)
        penalised = gram + self.alpha * scale * np.eye(n_feature)
        weights = cho_solve(cho_factor(penalised), cross)
        # W'(X'X + alpha)W and L'W W'L, with X'X + alpha = L L', share their eigenvalues; the second is small.
        root = np.linalg.cholesky(penalised)
        seen = root.T @ weights
        spread, axes = np.linalg.eigh(seen @ seen.T)
        kept = axes[:, np.argsort(-spread, kind="stable")[: self.rank]]
        # W V V' = L^-T (K K') L' W, where K holds the kept axes.
        self.directions_: Floats = np.linalg.solve(root.T, kept)
        self.loadings_: Floats = kept.T @ seen
        self.centre_: Floats = centre
        return self

    def predict(self, x: Features) -> Floats:
        """Return ``(n, n_model)`` predicted quality."""
        out = np.empty((len(x), len(self.rate_)))
        for start in range(0, len(x), _BLOCK_ROWS):
            rows = np.asarray(x[start : start + _BLOCK_ROWS], dtype=np.float64) - self.centre_
            block = out[start : start + _BLOCK_ROWS]
            np.matmul(rows @ self.directions_, self.loadings_, out=block)
            block += self.rate_
            np.clip(block, 0.0, 1.0, out=block)
        return out
