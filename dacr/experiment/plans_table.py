"""What plans do on the test part, domain by domain: ``plans.csv`` of an experiment that has plans."""

import numpy as np
import pandas as pd

from dacr.replay.arms import Arms
from dacr.types import Bools, Floats

ALL = "all"
COLUMNS = (
    "plan",
    "domain",
    "n",
    "share_agreed",
    "right_agreed",
    "right_fallback",
    "quality",
    "calls",
    "cost",
    "probe_share",
    "latency_s",
    "same_error",
    "share_agreed_train",
    "quality_train",
    "cost_train",
)


def plans_table(arms: Arms) -> pd.DataFrame:
    """Return one row per plan and domain, as if the plan were followed for every request.

    Returns
    -------
    DataFrame with the columns :data:`COLUMNS`
        share_agreed: share of requests that the first round settles; right_agreed, right_fallback: mean quality
        where it does and where it does not; cost: USD per request, of which probe_share is paid in the first round;
        same_error: how often the probes agree where both are wrong. The last columns are of all training rows.
    """
    estimator = arms.estimator
    names = estimator.table.domain[estimator.test].astype(str)
    groups: list[tuple[str, Bools]] = [(ALL, np.ones(len(names), dtype=bool))]
    groups += [(name, names == name) for name in sorted(set(names))]
    known = arms.truth.recorded  # of a plan: where all its models were recorded
    there = np.ones((len(names), len(arms.names)), dtype=bool) if known is None else known
    n_model = len(arms.names) - len(arms.plans)
    rows = [
        {"plan": plan.spec, "domain": name, **_of_plan(arms, k, mine & there[:, n_model + k])}
        for k, plan in enumerate(arms.plans)
        for name, mine in groups
        if (mine & there[:, n_model + k]).any()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_plan(arms: Arms, k: int, mine: Bools) -> dict[str, float]:
    paths, truth, n_model = arms.test, arms.truth, len(arms.names) - len(arms.plans)
    settled, quality = paths.settled[mine, k], truth.quality[mine, n_model + k]
    cost = truth.cost_usd[mine, n_model + k]
    first = np.where(paths.round[mine, k] == 1, arms.outcomes_test.cost_usd[mine][:, paths.member[k]], 0.0).sum(axis=1)
    one, other = paths.member[k, :2]
    both_wrong = (1 - truth.quality[mine, one]) * (1 - truth.quality[mine, other])
    trained = arms.trained_on
    return {
        "n": int(mine.sum()),
        "share_agreed": float(settled.mean()),
        "right_agreed": _mean(quality, settled),
        "right_fallback": _mean(quality, ~settled),
        "quality": float(quality.mean()),
        "calls": float(paths.calls[mine, k].mean()),
        "cost": float(cost.mean()),
        "probe_share": float(first.sum() / max(cost.sum(), 1e-300)),
        "latency_s": float(truth.latency_s[mine, n_model + k].mean()),
        "same_error": _mean(settled.astype(np.float64), both_wrong) if (paths.round[:, k, :2] == 1).all() else np.nan,
        "share_agreed_train": float(arms.train.settled[:, k].mean()),
        "quality_train": float(trained.quality[:, n_model + k].mean()),
        "cost_train": float(trained.cost_usd[:, n_model + k].mean()),
    }


def _mean(values: Floats, weight: Floats | Bools) -> float:
    total = float(np.sum(weight))
    return float((values * weight).sum() / total) if total > 0 else np.nan
