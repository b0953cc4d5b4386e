"""Online Platt scaling with calibeating: a forecaster that is told the outcome of each row afterwards."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dacr.estimates.calibrators.base import logits
from dacr.types import Bools, Floats


class OnlinePlatt:
    r"""Platt scaling whose two numbers move with each outcome (Gupta and Ramdas 2023, arXiv 2305.00070).

    Forecasts :math:`\sigma(\theta \cdot (\mathrm{logit}\, p, 1))`. Each outcome takes an online Newton step

    .. math:: g = (\sigma(\theta \cdot h) - y) h, \quad A \leftarrow A + g g^\top, \quad
       \theta \leftarrow \theta - A^{-1} g / \gamma, \quad A_0 = \rho I .

    *Calibeating* (tracking) then replaces a forecast by the mean outcome of the earlier forecasts in its
    bin of width ``bin_width``. It is no part of the calibrator registry: without feedback it is its start.
    Many series (models) advance together, row by row.

    Parameters
    ----------
    start : (n_series, 2) float
        Slope and intercept before any feedback: offline Platt's ``a_``, ``b_``; or (1, 0).
    gamma, rho : float
        Of the Newton step.
    bin_width : float
    pseudo_count : float
        Weight of the forecast itself in the mean of its bin; 0 is the published rule, whose first mean is
        a single outcome.
    calibeat : bool
    """

    def __init__(
        self,
        *,
        start: Floats,
        gamma: float = 0.1,
        rho: float = 100.0,
        bin_width: float = 0.1,
        pseudo_count: float = 1.0,
        calibeat: bool = True,
    ) -> None:
        self.theta_ = np.array(start, dtype=np.float64)
        if self.theta_.ndim != 2 or self.theta_.shape[1] != 2:
            raise ValueError(f"expected start of shape (n_series, 2), got {self.theta_.shape}")
        self.gamma, self.rho, self.bin_width = gamma, rho, bin_width
        self.pseudo_count, self.calibeat = pseudo_count, calibeat
        n = len(self.theta_)
        self._inverse = np.tile(np.eye(2) / rho, (n, 1, 1))
        n_bin = int(np.ceil(1.0 / bin_width - 1e-9))
        self._sum, self._count = np.zeros((n, n_bin)), np.zeros((n, n_bin))

    def predict(self, p: Floats) -> Floats:
        """Return the forecasts for one row: p (n_series,) -> (n_series,) in [0, 1]."""
        forecast = self._platt(p)
        if not self.calibeat:
            return forecast
        at = self._bin(forecast)
        total = self._count[at] + self.pseudo_count
        mean = (self._sum[at] + self.pseudo_count * forecast) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, mean, forecast)

    def update(self, p: Floats, y: Floats, told: Bools | None = None) -> None:
        """Learn one row: p, y (n_series,); ``told`` (n_series,) says for which series y is known."""
        mask = np.ones(len(p), dtype=bool) if told is None else told
        forecast = self._platt(p)
        bins = self._bin(forecast)[1]
        np.add.at(self._sum, (np.flatnonzero(mask), bins[mask]), y[mask])
        np.add.at(self._count, (np.flatnonzero(mask), bins[mask]), 1.0)
        h = np.column_stack([logits(p), np.ones(len(p))])
        g = np.where(mask, forecast - np.where(mask, y, 0.0), 0.0)[:, None] * h
        # Sherman and Morrison: the inverse of A + g g'.
        lever = np.einsum("sij,sj->si", self._inverse, g)
        self._inverse -= lever[:, :, None] * lever[:, None, :] / (1.0 + (g * lever).sum(axis=1))[:, None, None]
        self.theta_ -= np.einsum("sij,sj->si", self._inverse, g) / self.gamma

    def run(self, p: Floats, y: Floats, told: Bools | None = None, delay: int = 0) -> Floats:
        """Forecast a stream, each row before its outcome is known.

        Parameters
        ----------
        p, y : (n, n_series)
        told : (n, n_series) bool, optional
            Which outcomes ever become known.
        delay : int
            Row t is forecast when outcomes of rows before t - delay are known (0: all rows before t).
        """
        out = np.empty_like(p)
        for t in range(len(p)):
            if t > delay:
                due = t - 1 - delay
                self.update(p[due], y[due], None if told is None else told[due])
            out[t] = self.predict(p[t])
        return out

    def _platt(self, p: Floats) -> Floats:
        return expit(self.theta_[:, 0] * logits(p) + self.theta_[:, 1])

    def _bin(self, forecast: Floats) -> tuple[np.ndarray, np.ndarray]:
        last = self._sum.shape[1] - 1
        return np.arange(len(forecast)), np.minimum((forecast / self.bin_width).astype(np.int64), last)
