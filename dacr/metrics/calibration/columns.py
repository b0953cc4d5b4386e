"""Every calibration measure of many groups at once, as columns of one table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dacr.metrics.calibration.debiased import debiased_table
from dacr.metrics.calibration.ece import calibration_table
from dacr.metrics.calibration.parts import brier_parts_table, log_loss_excess_table
from dacr.metrics.calibration.smooth import smooth_ece_table

COLUMNS = (
    "n",
    "ece",
    "ece_null",
    "ece_debiased",
    "ece2_debiased",
    "ece_mass",
    "smooth_ece",
    "brier",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
    "brier_within",
    "log_loss",
    "log_loss_excess",
    "mean_p",
    "mean_q",
)


def measures(
    p: ArrayLike, q: ArrayLike, group: ArrayLike | None = None, n_group: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return :data:`COLUMNS` for each group: a dict of (n_group,) arrays, NaN for groups without rows.

    Parameters
    ----------
    p, q : (n,) float in [0, 1]
        Predicted and observed quality.
    group : (n,) int, optional
        0 .. n_group - 1; without it all rows are one group.
    """
    every = {
        **calibration_table(p, q, group, n_group),
        **debiased_table(p, q, group, n_group),
        **brier_parts_table(p, q, group, n_group),
        "ece_mass": calibration_table(p, q, group, n_group, scheme="mass")["ece"],
        "smooth_ece": smooth_ece_table(p, q, group, n_group),
        "log_loss_excess": log_loss_excess_table(p, q, group, n_group),
    }
    return {name: every[name] for name in COLUMNS}
