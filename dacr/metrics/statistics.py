"""Everything an experiment reports with an interval, from its decisions: one call, tidy tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dacr.data.table import RoutingTable
from dacr.errors import UserError
from dacr.metrics import intervals, paired, panel, resample
from dacr.metrics.intervals import Replicates

TAILS = {"p95_latency_s": 0.95, "p99_latency_s": 0.99}
MEANS = {
    "mean_quality": "quality",
    "mean_cost": "cost",
    "mean_latency_s": "latency_s",
    "slo_violation_rate": "slo_violation",
}
GAPS = "a mean needs a value for every request, and some were shed or not recorded"


@dataclass(frozen=True)
class Statistics:
    """Tables of estimates with intervals, of differences and of verdicts.

    Attributes
    ----------
    per_setting : DataFrame
        policy, lambda_cost, setting, metric, estimate, low, high, method.
    areas : DataFrame
        policy, metric ("lambda_frontier_area"), estimate, low, high, method.
    differences : DataFrame
        metric, then the columns of :func:`dacr.metrics.paired.to_reference`; per policy, areas against the
        reference's.
    win_tie_loss : DataFrame
        "wins-ties-losses" over domains at each policy's compared setting; empty where none was named.
    pairs : DataFrame
        What the matrix counts.
    """

    per_setting: pd.DataFrame
    areas: pd.DataFrame
    differences: pd.DataFrame
    win_tie_loss: pd.DataFrame
    pairs: pd.DataFrame


def compute(
    decisions: pd.DataFrame,
    *,
    dependent: Collection[str],
    reference: str,
    table: RoutingTable | None = None,
    compared: Mapping[str, str] | None = None,
    n_resample: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Statistics:
    """Compute all intervals of an experiment with one shared resample.

    Parameters
    ----------
    decisions : DataFrame
        See :func:`dacr.metrics.panel.build`.
    dependent : names of policies
        Those that learn or pace a budget.
    reference : str
        Policy against which differences are taken.
    table : RoutingTable, optional
        Holds the queries decided on. Its single models span the cost range of the areas; without it, no areas.
    compared : mapping of policy to setting name, optional
        The one setting per policy that goes into the win/tie/loss matrix.
    """
    block = panel.build(decisions, dependent)
    if reference not in set(block.settings["policy"]):
        raise UserError(f"reference {reference!r} is no policy here; known: {sorted(set(block.settings['policy']))}")
    draws = resample.draw(block.n_query, block.n_order, n_resample, seed, level)
    made = {name: _mean(block, column, draws) for name, column in MEANS.items()}
    made.update(zip(TAILS, intervals.quantiles(block, "latency_s", draws, tuple(TAILS.values())), strict=True))
    per_setting = pd.concat(
        [block.settings.assign(metric=name, **_columns(one, level)) for name, one in made.items()], ignore_index=True
    )
    areas = pd.DataFrame(columns=["policy", "metric", "estimate", "low", "high", "method"])
    differences = pd.DataFrame()
    if table is not None:
        single = _single_models(block, table, draws)
        names, area = intervals.frontier_areas(block, made["mean_cost"], made["mean_quality"], single)
        areas = pd.DataFrame({"policy": names, "metric": "lambda_frontier_area", **_columns(area, level)})
        differences = paired.to_reference(names, area, names.index(reference), level=level)
        differences.insert(0, "metric", "lambda_frontier_area")
    matrix = pairs = pd.DataFrame()
    if compared:
        chosen = block.take([block.column(policy=policy, setting=setting) for policy, setting in compared.items()])
        matrix, pairs = paired.win_tie_loss(chosen, "quality", draws, list(compared), alpha=1 - level)
    return Statistics(per_setting, areas, differences, matrix, pairs)


def _single_models(block: panel.Panel, table: RoutingTable, draws: resample.Resamples) -> tuple[Replicates, Replicates]:
    rows = pd.Index(table.qid).get_indexer(block.qid)
    if (rows < 0).any():
        raise UserError(
            f"{int((rows < 0).sum())} decided queries, such as {block.qid[rows < 0][0]!r}, are not in the table"
        )
    method = [intervals.BY_QUERY] * table.n_model
    cost, quality = table.cost_usd[rows], table.quality[rows]
    return (
        Replicates(cost.mean(axis=0), draws.means(cost), method),
        Replicates(quality.mean(axis=0), draws.means(quality), method),
    )


def _mean(block: panel.Panel, column: str, draws: resample.Resamples) -> Replicates:
    """Means of the settings that have every value; NaN with the reason for the others."""
    values = block.values[column]
    whole = np.asarray(np.isfinite(values).all(axis=(0, 1)))
    n_setting = len(whole)
    out = Replicates(values.mean(axis=(0, 1)), np.full((n_setting, draws.n_resample), np.nan), [GAPS] * n_setting)
    kept = np.flatnonzero(whole)
    if len(kept):
        some = intervals.means(block.take([int(c) for c in kept]), column, draws)
        out.draws[kept], out.estimate[kept] = some.draws, some.estimate
        for at, method in zip(kept, some.method, strict=True):
            out.method[int(at)] = method
    return out


def _columns(replicates: Replicates, level: float) -> dict[str, object]:
    low, high = replicates.interval(level)
    return {"estimate": replicates.estimate, "low": low, "high": high, "method": replicates.method}
