"""Tables of what offline calibration is worth on the test part: ``calibration_ece.csv`` and ``reliability.csv``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.data.schema import family_of
from dacr.errors import UserError
from dacr.estimates import Estimator
from dacr.metrics.calibration import reliability
from dacr.metrics.calibration_measures import COLUMNS as MEASURES
from dacr.metrics.calibration_measures import measures
from dacr.registry import calibrators
from dacr.settings import ExperimentSettings
from dacr.types import Floats, Ints

COMPARED: tuple[str, ...] = ("identity", "platt", "by_domain", "base_rate", "base_slope")
"""Calibrators that an experiment compares by default; ``--calibrator`` joins them."""


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
    """Return calibration by model x calibrator x domain, and the bins behind it for all domains together.

    Predictions are those of ``settings.predictor`` on the test rows; calibrators are fitted out-of-fold on
    the training rows. ``model`` and ``domain`` are ``all`` where rows are pooled; families with several
    domains get rows of their own, ``family:NAME``.
    """
    quality = estimator.table.quality[estimator.test]
    groups, code = _groups(estimator)
    tables, bins = [], []
    for name in compared(settings):
        p = estimator.calibrated[settings.predictor, name, "test"]
        stage = "raw" if name == "identity" else "offline"
        tables.append(_table(p, quality, groups, code, estimator.table.model, name, stage))
        bins.append(_bins(p, quality, estimator.table.model, name, stage))
    return pd.concat(tables, ignore_index=True), pd.concat(bins, ignore_index=True)


def _groups(estimator: Estimator) -> tuple[list[str], list[Ints]]:
    """Return group names, and for each kind of grouping a code per test row (-1: in none)."""
    domain = estimator.table.domain[estimator.test].astype(str)
    names = sorted(set(domain))
    families = pd.Series([family_of(name) for name in names]).value_counts()
    several = sorted(families.index[families > 1])
    position = {name: k + 1 for k, name in enumerate(names)}
    family_position = {name: len(names) + 1 + k for k, name in enumerate(several)}
    by_domain = np.array([position[name] for name in domain])
    by_family = np.array([family_position.get(family_of(name), -1) for name in domain])
    groups = ["all", *names, *(f"family:{name}" for name in several)]
    return groups, [np.zeros(len(domain), dtype=np.int64), by_domain, by_family]


def _table(
    p: Floats, q: Floats, groups: list[str], codes: list[Ints], models: tuple[str, ...], name: str, stage: str
) -> pd.DataFrame:
    n_group, n_model = len(groups), len(models)
    cells, values, truths = [], [], []
    for code in codes:
        rows = np.flatnonzero(code >= 0)
        for columns, first in ((np.arange(n_model), 0), (np.zeros(n_model, dtype=np.int64), n_model)):
            cells.append((code[rows][:, None] * (n_model + 1) + columns[None, :] + first).ravel())
            values.append(p[rows].ravel())
            truths.append(q[rows].ravel())
    size = n_group * (n_model + 1)
    measured = measures(np.concatenate(values), np.concatenate(truths), np.concatenate(cells), size)
    frame = pd.DataFrame(
        {
            "model": np.tile([*models, "all"], n_group),
            "calibrator": name,
            "domain": np.repeat(groups, n_model + 1),
            "stage": stage,
            **{column: measured[column] for column in MEASURES},
        }
    )
    frame["n"] = frame["n"].astype(np.int64)
    return frame


def _bins(p: Floats, q: Floats, models: tuple[str, ...], name: str, stage: str) -> pd.DataFrame:
    code = np.broadcast_to(np.arange(len(models)), p.shape).ravel()
    cells = reliability(p.ravel(), q.ravel(), code, len(models))
    frame = pd.DataFrame(cells)
    frame["model"] = np.array(models, dtype=object)[frame.pop("group").astype(int)]
    frame["bin"] = frame["bin"].astype(int)
    frame["n"] = frame["n"].astype(np.int64)
    frame.insert(0, "stage", stage)
    frame.insert(0, "domain", "all")
    frame.insert(0, "calibrator", name)
    frame.insert(0, "model", frame.pop("model"))
    return frame
