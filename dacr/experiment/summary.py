"""What an experiment says at its end: one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dacr.experiment.frontier_table import MEAN
from dacr.experiment.perfect_information import said
from dacr.experiment.settings import ExperimentSettings


def print_summary(
    settings: ExperimentSettings,
    sources: dict[str, Any],
    metrics: pd.DataFrame,
    frontier: pd.DataFrame,
    perfect: pd.DataFrame | None = None,
) -> None:
    """Print where queries and latencies came from, a row per router, and where the files lie."""
    print(
        f"test queries: {sources['n_test']} of the {sources['n_split']} of the test split ({sources['queries']}); "
        f"trained on {sources['n_train']}"
    )
    print(f"latency: test {sources['test_latency']}; training {sources['train_latency']}")
    if sources["log_dropped"] or sources["log_imputed"]:
        print(f"latency log: {sources['log_dropped']} queries dropped, {sources['log_imputed']} latencies imputed")
    if settings.protocol:
        print(f"protocol: {settings.stream_protocol}")
    if settings.decision_info == "oracle":
        print("CLAIRVOYANT: routers saw the true cost and lateness of every model (--decision_info oracle)")
    table = summary_table(metrics, frontier)
    if table.empty:
        print("no router was played along a frontier: budgets.csv has what came of the enforced budgets")
    else:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep=""))
    print(
        "area: mean height of the hull between the cheapest and the dearest single model, in quality; net_area: of "
        f"quality - {settings.lambda_lat:g} x share of late answers; * sees the truth or is told more: a reference"
    )
    if table["policy"].str.contains("+", regex=False).any():
        print(f"+ keeps a budget of its own along its frontier ({own_budget(settings)}); rivals are free there")
    if perfect is not None and len(perfect):
        print("\n".join(said(perfect)))
    print(f"wrote {settings.results_dir}; figures: python scripts/make_figures.py --results_dir {settings.results_dir}")


COLUMNS = ("policy", "settings", "area", "net_area", "best_quality", "at_cost_mUSD", "late", "p95_s")


def own_budget(settings: ExperimentSettings) -> str:
    """Name the flags that hold dacr to a budget of its own: ``--dacr_budget_cost 0.0055``."""
    flags = {"dacr_budget_cost": settings.dacr_budget_cost, "dacr_budget_viol": settings.dacr_budget_viol}
    return ", ".join(f"--{name} {value:g}" for name, value in flags.items() if value is not None)


def summary_table(metrics: pd.DataFrame, frontier: pd.DataFrame) -> pd.DataFrame:
    """Return one row per router: areas from ``frontier.csv``, and its setting of highest mean quality.

    A router is marked by ``*`` where it is a reference, by ``+`` where it keeps a budget of the operator's. Points of
    enforced budgets are no part of a frontier.
    """
    rows = []
    areas = frontier[frontier["seed"] == MEAN].set_index("policy")
    for router, points in metrics[~metrics["enforced"]].groupby("policy", sort=False):
        best = points.loc[points["mean_quality"].idxmax()]
        rows.append(
            {
                "policy": f"{router}{_marks(points)}",
                "settings": len(points),
                "area": areas.loc[router, "area"],
                "net_area": areas.loc[router, "net_area"],
                "best_quality": best["mean_quality"],
                "at_cost_mUSD": 1e3 * best["mean_cost"],
                "late": best["slo_violation_rate"],
                "p95_s": best["p95_latency_s"],
            }
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.iloc[np.argsort(-frame["net_area"].to_numpy(float), kind="stable")]


def _marks(points: pd.DataFrame) -> str:
    reference = points["clairvoyant"].any() or points["full_information"].any()
    return ("*" if reference else "") + ("+" if points["budgeted"].any() else "")
