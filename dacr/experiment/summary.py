"""What an experiment says at its end: one table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dacr.experiment.frontier_table import MEAN, REFERENCE
from dacr.experiment.perfect_information import said
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.arms import NO_PLANS

COLUMNS = (
    "policy",
    "kind",
    "net_area",
    "net_area_low",
    "net_area_high",
    "net_area_difference",
    "net_area_verdict",
    "area",
) + ("best_quality", "mean_cost", "late", "p95_latency_s", "budget_quality")
"""What ``summary.csv`` has."""


def print_summary(settings: ExperimentSettings, sources: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Print where queries and latencies came from, a row per router, and where the files lie."""
    print(
        f"test queries: {sources['n_test']} of the {sources['n_split']} of the test split ({sources['queries']}); "
        f"trained on {sources['n_train']}"
    )
    if sources.get("missing_outcomes"):
        print(f"{sources['missing_outcomes']}: a model can't be called where it was not recorded")
    print(f"latency: test {sources['test_latency']}; training {sources['train_latency']}")
    if sources.get("plans", NO_PLANS) != NO_PLANS:
        print(f"plans: {sources['plans']}")
    if sources["log_dropped"] or sources["log_imputed"]:
        print(f"latency log: {sources['log_dropped']} queries dropped, {sources['log_imputed']} latencies imputed")
    if settings.protocol:
        print(f"protocol: {settings.stream_protocol}")
    if settings.decision_info == "oracle":
        print("CLAIRVOYANT: routers saw the true cost and lateness of every model (--decision_info oracle)")
    table = shown(tables)
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
    perfect = tables.get("perfect_information")
    if perfect is not None and len(perfect):
        print("\n".join(said(perfect)))
    print(f"wrote {settings.results_dir}; summary.csv has a row per router")


def own_budget(settings: ExperimentSettings) -> str:
    """Name the flags that hold dacr to a budget of its own: ``--dacr_budget_cost 0.0055``."""
    flags = {"dacr_budget_cost": settings.dacr_budget_cost, "dacr_budget_viol": settings.dacr_budget_viol}
    return ", ".join(f"--{name} {value:g}" for name, value in flags.items() if value is not None)


def summary_table(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what people look for first: one row per router, dacr's first, the others by net area.

    Parameters
    ----------
    tables : dict
        ``metrics``, ``frontier`` and, where budgets were enforced, ``budgets``.

    Returns
    -------
    DataFrame
        ``policy``; ``kind`` (router, learner, or reference: sees the truth or is told more); ``net_area`` of the
        frontier with its interval, and the paired difference to the reference with its verdict; ``area``; the setting
        of highest mean quality: ``best_quality``, ``mean_cost`` (USD per request), ``late`` (share), ``p95_latency_s``;
        ``budget_quality``, mean over the enforced budgets of money.
    """
    metrics, frontier, budgets = tables["metrics"], tables["frontier"], tables.get("budgets")
    free = metrics[~metrics["enforced"]]
    best = free.loc[free.groupby("policy", sort=False)["mean_quality"].idxmax()]
    made = best.merge(frontier[frontier["seed"] == MEAN], on="policy", suffixes=("", "_of_area"))
    told = made["clairvoyant"] | made["full_information"]
    made["kind"] = np.select([told, made["learns"]], ["reference", "learner"], "router")
    made["budget_quality"] = np.nan
    if budgets is not None:
        held = budgets[budgets["enforced"] & budgets["budget_cost"].notna()]
        made["budget_quality"] = made["policy"].map(held.groupby("policy")["mean_quality"].mean())
    made = made.rename(columns={"mean_quality": "best_quality", "slo_violation_rate": "late"})
    rank = np.lexsort([-made["net_area"], made["policy"] != REFERENCE])
    return made.iloc[rank][list(COLUMNS)].reset_index(drop=True)


def shown(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what the screen shows of it, by net area.

    A router is marked by ``*`` where it is a reference, by ``+`` where it keeps a budget of the operator's. Points of
    enforced budgets are no part of a frontier.
    """
    table, points = tables["summary"], tables["metrics"][lambda metrics: ~metrics["enforced"]]
    by_router = points.groupby("policy")
    budgeted = table["policy"].map(by_router["budgeted"].any())
    marks = np.where(table["kind"] == "reference", "*", "") + np.where(budgeted, "+", "")
    made = pd.DataFrame(
        {
            "policy": table["policy"] + marks,
            "settings": table["policy"].map(by_router.size()),
            "area": table["area"],
            "net_area": table["net_area"],
            "best_quality": table["best_quality"],
            "at_cost_mUSD": 1e3 * table["mean_cost"],
            "late": table["late"],
            "p95_s": table["p95_latency_s"],
        }
    )
    return made.sort_values("net_area", ascending=False, kind="stable")
