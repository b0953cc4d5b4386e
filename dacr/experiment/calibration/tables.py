"""Tables of what offline calibration is worth on the test part: ``calibration_ece.csv`` and ``reliability.csv``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import calibrators
from dacr.estimates.estimator import Estimator
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.calibration.bins import pooled_bins
from dacr.metrics.calibration.columns import COLUMNS as MEASURES
from dacr.metrics.calibration.columns import measures
from dacr.metrics.calibration.errors import INTERVALS, grouped_calibration
from dacr.metrics.calibration.groups import ALL, Groups
from dacr.types import Floats

COMPARED: tuple[str, ...] = ("identity", "platt", "by_domain", "base_rate", "base_slope")
"""Calibrators that an experiment compares by default; ``--calibrator`` joins them."""

_CELLS = 2_000_000
"""Predictions that are measured at once."""


def compared(settings: ExperimentSettings) -> list[str]:
    """Return the calibrators to compare; of ``all``, those that can be used here."""
    asked = tuple(settings.calibrators) or COMPARED
    if list(asked) == ["all"]:
        asked = tuple(name for name, part in calibrators.items() if not part.unavailable())
    for name in asked:
        reason = calibrators.get(name).unavailable()
        if reason:
            raise UserError(reason)
    return list(dict.fromkeys(("identity", *asked, settings.calibrator)))


def calibration_tables(estimator: Estimator, settings: ExperimentSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return calibration by model x calibrator x domain, and the bins behind it.

    Predictions are those of ``settings.predictor`` on the test rows; calibrators are fitted out-of-fold on
    the training rows. ``model`` and ``domain`` are ``all`` where rows are pooled; families with several
    domains get rows of their own, ``family:NAME``. Intervals are 95 %, by query. Bins: of all domains together by
    model and pooled, and of every family pooled over models.
    """
    quality = estimator.table.quality[estimator.test]
    groups = Groups.of(estimator.table.domain[estimator.test])
    tables, bins = [], []
    for name in compared(settings):
        p = estimator.calibrated[settings.predictor, name, "test"]
        stage = "raw" if name == "identity" else "offline"
        tables.append(_table(p, quality, groups, estimator.table.model, name, stage))
        bins.append(_bins(p, quality, groups, estimator.table.model).assign(calibrator=name, stage=stage))
    wide = pd.concat(bins, ignore_index=True)
    keys = ["model", "calibrator", "domain", "stage"]
    return pd.concat(tables, ignore_index=True), wide[[*keys, *(c for c in wide.columns if c not in keys)]]


def _table(p: Floats, q: Floats, groups: Groups, models: tuple[str, ...], name: str, stage: str) -> pd.DataFrame:
    n_group, n_model = len(groups.names), len(models)
    measured = {column: np.full((n_group, n_model + 1), np.nan) for column in MEASURES}
    measured["n"][:] = 0
    # A few models at a time: beside p and q, memory holds some million cells, whatever the number of models.
    step = max(1, _CELLS // max(len(p), 1))
    for code in groups.levels:
        rows = np.flatnonzero(code >= 0)
        if not len(rows):
            continue
        own = np.unique(code[rows])
        place = np.searchsorted(own, code[rows])
        for start in range(0, n_model, step):
            some = slice(start, min(start + step, n_model))
            n_some = some.stop - some.start
            cell = (place[:, None] * n_some + np.arange(n_some)).ravel()
            found = measures(p[rows, some].ravel(), q[rows, some].ravel(), cell, len(own) * n_some)
            for column in MEASURES:
                measured[column][own, some] = found[column].reshape(len(own), n_some)
        found = measures(p[rows].ravel(), q[rows].ravel(), np.repeat(place, n_model), len(own))
        for column in MEASURES:
            measured[column][own, n_model] = found[column]
    sure = grouped_calibration(p[None], q, groups, learner=False)
    frame = pd.DataFrame(
        {
            "model": np.tile([*models, ALL], n_group),
            "calibrator": name,
            "domain": np.repeat(groups.names, n_model + 1),
            "stage": stage,
            **{column: measured[column].ravel() for column in MEASURES},
            **{column: sure[column].ravel() for column in INTERVALS},
        }
    )
    frame["n"] = frame["n"].astype(np.int64)
    return frame


def _bins(p: Floats, q: Floats, groups: Groups, models: tuple[str, ...]) -> pd.DataFrame:
    """Return bins of all domains by model, and of all domains and every family pooled over models."""
    frames = [
        pooled_bins(p[None, :, [m]], q[:, [m]], groups, [0]).assign(model=model) for m, model in enumerate(models)
    ]
    frames.append(pooled_bins(p[None], q, groups, [0, *groups.families]).assign(model=ALL))
    frame = pd.concat(frames, ignore_index=True)
    frame["n"] = frame["n"].astype(np.int64)
    return frame.assign(domain=np.array(groups.names, dtype=object)[frame.pop("group")])
