"""Error against the true probabilities, which the embedded benchmark knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.data.sample.generate import generate
from dacr.data.table import RoutingTable
from dacr.experiment.studies.calibration_bench import Holdout
from dacr.experiment.studies.calibration_online import Online
from dacr.metrics.calibration.measures import measures
from dacr.types import Floats


def true_quality(table: RoutingTable, n_query: int, seed: int) -> Floats:
    """Return the expected quality of every model on every query of the table: (n_query, n_model).

    Raises
    ------
    UserError
        The table holds queries that the embedded benchmark of this size and seed has not.
    """
    sample = generate(n_query, seed)
    place = pd.Series(np.arange(len(sample.qid)), index=sample.qid)
    rows = place.reindex(table.qid).to_numpy()
    if np.isnan(rows).any() or not set(table.model) <= set(sample.model):
        raise UserError(
            f"--truth_sample {n_query}: {int(np.isnan(rows).sum())} of {table.n_query} queries of --data are not in "
            "that sample; make --data with python scripts/make_sample.py and the same --sample and --seed"
        )
    columns = [sample.model.index(name) for name in table.model]
    truth: Floats = sample.truth[rows.astype(np.int64)][:, columns]
    return truth


def truth_table(
    holdout: Holdout, p: Mapping[str, Floats], truth: Floats, online: Sequence[Online] = ()
) -> pd.DataFrame:
    """Return per calibrator, means over models: how far predictions are from the truth, and what ECE says.

    Parameters
    ----------
    truth : (n_query, n_model) float
        Of the whole table.
    online : sequence of Online
        Learners; their rows are means over runs and prices.

    Returns
    -------
    DataFrame
        calibrator, stage; rmse_to_truth, root of the mean (p - truth)^2 (a part of it no predictor can avoid:
        half of the difficulty does not show in the words); ece_to_truth, the ECE with true expectations for
        labels, so without label noise; ece, ece_null, ece_debiased from the labels, which should agree.
    """
    target = truth[holdout.estimator.test]
    rows = [
        {"calibrator": name, "stage": "raw" if name == "identity" else "offline"}
        | _against(values[None], holdout.quality[None], target[None])
        for name, values in p.items()
    ]
    for one in online:
        stages = {"online_counterfactual": one.p, "online_end": one.end}
        rows += [
            {"calibrator": one.name, "stage": stage} | _against(values, holdout.quality[one.row], target[one.row])
            for stage, values in stages.items()
            if values is not None
        ]
    return pd.DataFrame(rows).groupby(["calibrator", "stage"], sort=False).mean().reset_index()


def _against(p: Floats, q: Floats, truth: Floats) -> dict[str, float]:
    """Return means over runs (first axis) and models (last axis)."""
    n_run, _, n_model = p.shape
    series = np.broadcast_to((np.arange(n_run)[:, None, None] * n_model + np.arange(n_model)), p.shape).ravel()
    seen = measures(p.ravel(), q.ravel(), series, n_run * n_model, smooth=False)
    exact = measures(p.ravel(), truth.ravel(), series, n_run * n_model, smooth=False)
    return {
        "rmse_to_truth": float(np.sqrt(exact["brier"]).mean()),
        "ece_to_truth": float(exact["ece"].mean()),
        **{key: float(seen[key].mean()) for key in ("ece", "ece_null", "ece_debiased")},
    }
