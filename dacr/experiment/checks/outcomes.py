"""Checks of what comes out: routers against references, grids, budgets, learners."""

import numpy as np
import pandas as pd

from dacr.experiment.checks.registered import Context, Found, check, some
from dacr.metrics.frontier import Frontier

PROMISED = 0.01
"""Share by which a run may exceed its budget of money, and by which its share of late answers may."""

ROUNDING = 1e-9

LONG = 1000
"""Requests from which budgets are promised to be kept so well."""


@check("DACR002", "no router is dominated by the zero router", "metrics", "single_cost", "single_quality")
def _dominated(c: Context) -> Found:
    assert c.metrics is not None and c.single_cost is not None and c.single_quality is not None
    worth, single, less = c.metrics["mean_quality"], c.single_quality, ""
    if c.price_late > 0 and c.single_late is not None:
        worth, single = worth - c.price_late * c.metrics["slo_violation_rate"], single - c.price_late * c.single_late
        less = f" less {c.price_late:g} x share of late answers"
    hull, below = Frontier.of(c.single_cost, single), {}
    for router, rows in c.metrics.assign(worth=worth).groupby("policy", sort=False):
        behind = hull.quality_at(rows["mean_cost"].to_numpy()) - rows["worth"].to_numpy()
        # Cheaper than any single model: no blind mixture costs so little, so nothing dominates it.
        if router not in c.references and np.nan_to_num(behind, nan=-1.0).min() > ROUNDING:
            below[str(router)] = float(behind.min())
    if below:
        named = [f"{router} (by {gap:.3f} or more)" for router, gap in sorted(below.items(), key=lambda item: item[1])]
        yield (
            "warning",
            "at all their settings below the best blind mixture of two models of the same cost, which was chosen in "
            f"hindsight, in quality{less}: {some(named)}",
            "do not report them as useful here; look at their calibration and at their held-out domains",
        )


@check("DACR003", "the grid of lambda reaches the cheap end", "metrics", "single_cost")
def _lambda_edge(c: Context) -> Found:
    assert c.metrics is not None and c.single_cost is not None
    for router, rows in c.metrics.dropna(subset=["lambda_cost"]).groupby("policy", sort=False):
        grid = rows.groupby("lambda_cost")["mean_cost"].mean().sort_index()
        if len(grid) < 2:
            continue
        low, high = float(np.min(c.single_cost)), float(np.max(c.single_cost))
        left = (grid.iloc[-1] - low) / (high - low) if high > low else 0.0
        if left > 0.1:
            yield (
                "warning",
                f"{router}: at its largest lambda_cost {grid.index[-1]:g} it still spends {left:.0%} of the range "
                "between the cheapest and the dearest model, so the left of its frontier is not explored",
                "widen --lambdas until the ends stop changing",
            )


@check("DACR006", "budgets are kept", "budgets")
def _budget(c: Context) -> Found:
    assert c.budgets is not None
    runs = c.budgets
    # Of money 1 % of the budget, of late answers one in a hundred: what runs of 1,000 requests keep.
    money = runs["kind"] == "money"
    runs = runs.assign(excess=np.where(money, runs["had"] / runs["allowed"] - 1, runs["had"] - runs["allowed"]))
    runs["short"] = runs["n"] < LONG
    for (kind, router), own in runs[~runs["short"]].groupby(["kind", "policy"], sort=False):
        over = own[own["excess"] > ROUNDING]
        if over.empty:
            continue
        far = float(over["excess"].max()) > PROMISED + ROUNDING
        yield (
            "error" if far else "info",
            f"{router} was over its budget of {kind} in {len(over)} of {len(own)} runs, at worst by {_worst(over)}",
            "do not quote such a point as one at its budget; tables mark it"
            if far
            else f"{_WITHIN[str(kind)]}: say so where the point is quoted",
        )
    for kind, own in runs[runs["short"]].groupby("kind", sort=False):
        over = own[own["excess"] > ROUNDING]
        if over.empty:
            continue
        worst = over.loc[over["excess"].idxmax(), "policy"]
        yield (
            "warning" if float(over["excess"].max()) > PROMISED + ROUNDING else "info",
            f"{some(sorted(set(over['policy'])))} were over a budget of {kind} in {len(over)} of {len(own)} runs of "
            f"fewer than {LONG} requests, for which nothing is promised; at worst {worst}, by {_worst(over)}",
            "do not quote such a point as one at its budget, tables mark it; play a longer stream",
        )


_WITHIN = {"money": "within 1 % of the budget", "late answers": "within one answer in a hundred"}


def _worst(over: pd.DataFrame) -> str:
    """Say by how much the worst run was over, what it had, what it was allowed, and which run it is."""
    worst = over.loc[over["excess"].idxmax()]
    much = f"{100 * worst['excess']:.2g} %" if worst["kind"] == "money" else f"{worst['excess']:.2g} of all answers"
    return (
        f"{much}: {worst['had']:.4g} where {worst['allowed']:.4g} was allowed (setting {worst['setting']}, "
        f"run {worst['seed']}, {int(worst['n'])} requests)"
    )


@check("DACR008", "no router is told the truth", "clairvoyant")
def _clairvoyant(c: Context) -> Found:
    if c.clairvoyant:
        yield (
            "info",
            f"clairvoyant, told the true cost, lateness or quality before they choose: {some(sorted(c.clairvoyant))}",
            "quote them as limits alone; compare routers with --decision_info predicted",
        )


@check("DACR013", "learners ran in enough stream orders", "metrics", "learners")
def _few_orders(c: Context) -> Found:
    assert c.metrics is not None and c.learners is not None
    own = sorted(set(c.metrics["policy"]) & set(c.learners))
    if c.same_order and own:
        yield (
            "warning",
            f"all runs of {some(own)} replay one order of arrival: seeds vary their exploration and which ratings "
            "come, but not what they meet first, so intervals are too short",
            "give each run a stream order of its own",
        )
    if "n_seed" not in c.metrics:
        return
    rows = c.metrics[c.metrics["policy"].isin(c.learners) & (c.metrics["n_seed"] < c.min_orders)]
    for router, settings in rows.groupby("policy", sort=False):
        n = int(settings["n_seed"].min())
        what = "no interval is given" if n == 1 else "its interval is wide and rough"
        yield (
            "warning",
            f"{router} learns and was run {'once' if n == 1 else f'{n} times'}: {what}",
            f"run at least {c.min_orders} stream orders: --orders {c.min_orders} (in a sweep, as many seeds)",
        )
