"""What learners believed before each decision against what came of it: their rows of ``calibration_ece.csv``."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dacr.metrics.calibration_called import called_table
from dacr.runs import Played


@dataclass
class OnlineCalibration:
    """Collects, learner by learner, how beliefs held before each call came true.

    Parameters
    ----------
    domain : (n,) object
        Of the test rows.
    """

    domain: np.ndarray
    _tables: list[pd.DataFrame] = field(default_factory=list)

    def add(self, policy: str, setting: str, seeds: tuple[int, ...], played: Played) -> None:
        """Keep the calibration of one learner at one point, all runs."""
        n = played.row.shape[1]
        beliefs = pd.DataFrame(
            {
                "policy": policy,
                "lambda_cost": 0.0,
                "setting": setting,
                "seed": np.repeat(np.array(seeds, dtype=np.int64), n),
                "domain": self.domain.astype(str)[played.row.ravel()],
                "p_hat": played.p_hat.ravel(),
                "quality": played.quality.ravel(),
            }
        )
        table = called_table(beliefs).drop(columns=["lambda_cost"]).rename(columns={"policy": "calibrator"})
        self._tables.append(table.assign(model="all"))

    def table(self) -> pd.DataFrame:
        """Return what was collected: empty where nothing learnt."""
        return pd.concat(self._tables, ignore_index=True) if self._tables else pd.DataFrame()

    def joined_to(self, calibration: pd.DataFrame) -> pd.DataFrame:
        """Append the learners' rows (``stage`` is ``online``, ``calibrator`` the router) to a calibration table."""
        parts = [calibration.assign(setting=""), *self._tables]
        columns = ["model", "calibrator", "domain", "stage", "setting", *(c for c in calibration.columns[4:])]
        return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
