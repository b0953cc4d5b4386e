"""Tables of what offline calibration is worth on the test part: ``calibration_ece.csv`` and ``reliability.csv``."""

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import calibrators
from dacr.estimates.estimator import Estimator
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.calibration.bins import ALL, Groups
from dacr.metrics.calibration.grouped import INTERVALS
from dacr.metrics.calibration.measures import COLUMNS
from dacr.metrics.calibration.reported import BINS, MEASURES, of_predictions, part_of
from dacr.types import Floats

COMPARED: tuple[str, ...] = ("identity", "platt", "by_domain", "base_rate", "base_slope")
"""Calibrators that an experiment compares by default; ``--calibrator`` joins them."""


def compared(settings: ExperimentSettings) -> list[str]:
    """Return the calibrators to compare; of ``all``, those that can be used here (:func:`unusable` has the rest)."""
    asked = tuple(settings.calibrators) or COMPARED
    if list(asked) == ["all"]:
        asked = tuple(name for name, part in calibrators.items() if not part.unavailable())
    for name in asked:
        reason = calibrators.get(name).unavailable()
        if reason:
            raise UserError(reason)
    return list(dict.fromkeys(("identity", *asked, settings.calibrator)))


def unusable(settings: ExperimentSettings) -> dict[str, str]:
    """Return the reason for each calibrator that ``--calibrators all`` leaves out, by its name."""
    reasons = {name: part.unavailable() for name, part in calibrators.items()}
    return {name: why for name, why in reasons.items() if why and list(settings.calibrators) == ["all"]}


def calibration_tables(estimator: Estimator, settings: ExperimentSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return calibration by model x calibrator x domain, and the bins behind it.

    Predictions are those of ``settings.predictor`` on the test rows; calibrators are fitted out-of-fold on
    the training rows. ``model`` and ``domain`` are ``all`` where rows are pooled; families with several
    domains get rows of their own, ``family:NAME``. Intervals are 95 %, by query. Bins: of all domains together by
    model and pooled, and of every family pooled over models.
    """
    truth = estimator.outcomes(estimator.test)
    quality = truth.known(truth.quality)
    groups = Groups.of(estimator.table.domain[estimator.test])
    models = estimator.table.model
    tables, bins = [], []
    for name in compared(settings):
        p = estimator.calibrated[settings.predictor, name, "test"]
        found = estimator.cache.call(of_predictions, p, quality, groups)
        about = {"calibrator": name, "stage": "raw" if name == "identity" else "offline"}
        measures = part_of(found, MEASURES)
        tables.append(measure_rows(measures, groups, (*models, ALL), **about).astype({"n": np.int64}))
        for m, model in enumerate(models):
            bins.append(bin_rows(part_of(found, f"{BINS} {m}"), groups, model=model, **about))
        bins.append(bin_rows(part_of(found, BINS), groups, model=ALL, **about))
    return pd.concat(tables, ignore_index=True), pd.concat(bins, ignore_index=True).astype({"n": np.int64})


def measure_rows(found: dict[str, Floats], groups: Groups, models: tuple[str, ...], **about: str) -> pd.DataFrame:
    """Return rows of ``calibration_ece.csv`` from measures of groups of queries x models; ``about`` is further keys."""
    keys = {
        "model": np.tile(models, len(groups.names)),
        "calibrator": about["calibrator"],
        "domain": np.repeat(groups.names, len(models)),
    }
    values = {name: found[name].ravel() for name in (*COLUMNS, *INTERVALS) if name in found}
    return pd.DataFrame(keys | about | values)


def bin_rows(bins: dict[str, np.ndarray], groups: Groups, **about: str) -> pd.DataFrame:
    """Return rows of ``reliability.csv`` from bins of groups of queries; ``about`` is keys, ``model`` among them."""
    domain = np.array(groups.names, dtype=object)[bins["group"]]
    keys = {"model": about["model"], "calibrator": about["calibrator"], "domain": domain}
    return pd.DataFrame(keys | about | {name: values for name, values in bins.items() if name != "group"})
