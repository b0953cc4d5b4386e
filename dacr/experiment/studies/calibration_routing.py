"""Does calibration matter? The same router with each calibrator: frontier area against ECE, paired."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.experiment.studies.calibration_bench import Holdout
from dacr.metrics.intervals import frontier_areas, means
from dacr.metrics.paired import to_reference
from dacr.metrics.panel import Panel
from dacr.metrics.resample import Resamples
from dacr.replay.static import play_static
from dacr.routers.predict_optimize import PredictOptimizeRouter
from dacr.types import Floats, Runs


def routing_table(
    holdout: Holdout, names: list[str], lambdas: tuple[float, ...], offline: pd.DataFrame, resamples: Resamples
) -> pd.DataFrame:
    """Return the frontier area of predict-then-optimise with each calibrator, beside its ECE and Brier score.

    Returns
    -------
    DataFrame
        calibrator, area (quality units, between the cheapest and the dearest model's cost), area_low,
        area_high, ece, brier (means over models), and paired against the raw prediction and the base rate:
        difference_to_R, low_to_R, high_to_R, p_holm_to_R, verdict_to_R.
    """
    truth = holdout.estimator.outcomes(holdout.estimator.test)
    n = len(holdout.quality)
    once = Runs(np.arange(n)[None, :], holdout.runs.arrival_s, holdout.runs.seed[:1])
    quality: list[Floats] = []
    cost: list[Floats] = []
    labels: list[tuple[str, float]] = []
    for name in names:
        requests = holdout.estimator.testing(holdout.predictor, name)
        for price in lambdas:
            played = play_static(PredictOptimizeRouter(lambda_cost=price), requests, truth, once)
            quality.append(played.quality[0])
            cost.append(played.cost_usd[0])
            labels.append((name, price))
    routed = _panel(holdout, labels, np.column_stack(quality), np.column_stack(cost))
    single = _panel(holdout, [(model, 0.0) for model in holdout.models], truth.quality, truth.cost_usd)
    drawn = Resamples(resamples.counts, np.ones((1, resamples.n_resample)))
    _, areas = frontier_areas(
        routed,
        means(routed, "cost", drawn),
        means(routed, "quality", drawn),
        (means(single, "cost", drawn), means(single, "quality", drawn)),
    )
    low, high = areas.interval()
    table = pd.DataFrame({"calibrator": names, "area": areas.estimate, "area_low": low, "area_high": high})
    average = offline[(offline["domain"] == "all") & (offline["model"] == "mean")].set_index("calibrator")
    for column in ("ece", "ece_debiased", "brier"):
        table[column] = average[column].reindex(names).to_numpy()
    for reference in ("identity", "base_rate"):
        if reference in names:
            paired = to_reference(names, areas, names.index(reference)).set_index("name")
            for column in ("difference", "low", "high", "p_holm", "verdict"):
                table[f"{column}_to_{reference}"] = paired[column].reindex(names).to_numpy()
    return table


def _panel(holdout: Holdout, labels: list[tuple[str, float]], quality: Floats, cost: Floats) -> Panel:
    routers, prices = [name for name, _ in labels], [price for _, price in labels]
    return Panel(
        settings=pd.DataFrame({"policy": routers, "lambda_cost": prices, "setting": ""}),
        depends=np.zeros(len(labels), dtype=bool),
        qid=holdout.estimator.table.qid[holdout.estimator.test],
        domain=holdout.domain,
        order=holdout.runs.seed[:1],
        values={"quality": quality[None], "cost": cost[None]},
    )
