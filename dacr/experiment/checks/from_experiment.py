"""The context of an experiment: from its settings, testbed, estimates and tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dacr.core.registry import calibrators, routers
from dacr.data.table import pricing_of
from dacr.estimates.estimator import Estimator
from dacr.experiment.checks.registered import CalibratorUse, Context, distinct_features
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.budgets import budgets_of
from dacr.replay.testbed import Testbed
from dacr.routers.base import Router
from dacr.types import Floats


def context_of(
    settings: ExperimentSettings,
    bed: Testbed,
    estimator: Estimator,
    metrics: pd.DataFrame,
    by_seed: pd.DataFrame,
    singles: pd.DataFrame,
    same_order: bool,
    parts: Mapping[str, type[Router]] | None = None,
) -> Context:
    """Gather what the checks look at, after the routers have played.

    Parameters
    ----------
    metrics, by_seed, singles : DataFrame
        As in ``metrics.csv``, ``metrics_by_seed.csv`` and ``singles.csv``.
    same_order : bool
        Whether all runs of a learner replay one order of arrival.
    parts : mapping, optional
        Class of each router, where they play under other names than those of the registry.
    """
    played = [str(name) for name in metrics["policy"].unique()]
    parts = parts or {name: routers.get(name) for name in played}
    table, train, test = bed.table, bed.train, bed.test
    told = played if settings.decision_info == "oracle" else [name for name in played if parts[name].clairvoyant]
    coverage = bed.sources.get("log_coverage")
    truth = estimator.outcomes(test)
    return Context(
        metrics=metrics[~metrics["enforced"]],
        single_cost=singles["mean_cost"].to_numpy(),
        single_quality=singles["mean_quality"].to_numpy(),
        single_late=singles["slo_violation_rate"].to_numpy(),
        price_late=settings.lambda_lat,
        learners=tuple(name for name in played if parts[name].learns),
        clairvoyant=tuple(told),
        latency_coverage=float(np.isfinite(table.latency_s[test]).mean() if coverage is None else coverage),
        latency_treatment=""
        if settings.missing_latency == "error"
        else f"--missing_latency {settings.missing_latency}",
        calibrators=[_use(key, slopes, table.model) for key, slopes in sorted(estimator.slopes.items())],
        train_qid=table.qid[train],
        test_qid=table.qid[test],
        train_domain=table.domain[train],
        test_domain=table.domain[test],
        train_prompt=table.prompt[train],
        test_prompt=table.prompt[test],
        ood=bool(bed.held_out),
        budgets=budgets_of(by_seed),
        feature_distinct=distinct_features(estimator.x[test], table.prompt[test], table.domain[test]),
        same_order=same_order,
        quality=truth.known(truth.quality),
        models=table.model,
        pricing=pricing_of(settings.data),
    )


def _use(key: tuple[str, str], slopes: Floats, models: tuple[str, ...]) -> CalibratorUse:
    predictor, calibrator = key
    known = {model: float(slope) for model, slope in zip(models, slopes, strict=True) if not np.isnan(slope)}
    return CalibratorUse(f"{calibrator} on {predictor}", calibrators.get(calibrator).fitted_on, known)
