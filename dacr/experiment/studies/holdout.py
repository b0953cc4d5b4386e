"""All numbers of one hold-out: areas, budgets, references, paired differences to dacr, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.experiment.studies.holdout_measures import budget_keeping, called_ece, hull_under, supported_area
from dacr.experiment.studies.holdout_play import Ran
from dacr.metrics import intervals, resample
from dacr.metrics.areas import area_replicates, panel_of
from dacr.metrics.frontier import Frontier
from dacr.metrics.paired import to_reference
from dacr.replay.entry import Point
from dacr.replay.setup import Setup
from dacr.types import Outcomes, Played

N_RESAMPLE = 1000


@dataclass(frozen=True)
class HoldOut:
    """What is kept of a hold-out.

    Attributes
    ----------
    rows : list of dict
        One per router, for holdouts.csv.
    budgets : list of dict
        One per router and budget, for holdouts_budgets.csv.
    replicates : dict
        measure ("area", "budget") -> (routers, Replicates): for pooling over hold-outs.
    """

    family: str
    rows: list[dict[str, Any]]
    budgets: list[dict[str, Any]]
    replicates: dict[str, tuple[list[str], intervals.Replicates]]


def measure(family: str, ran: Sequence[Ran], setup: Setup, seed: int, reference: str = "dacr") -> HoldOut:
    """Measure every router on one hold-out.

    Parameters
    ----------
    ran
        One entry per router, all in the same stream orders.
    seed : int
        Names the resamples: another one for each hold-out, since their queries are different ones.
    """
    truth = setup.truth
    n = len(truth)
    free = {one.name: one.at(bounded=False) for one in ran}
    bounded = {one.name: one.at(bounded=True) for one in ran}
    learns = {one.name: one.learns for one in ran}
    resamples = resample.draw(n, len(ran[0].played[0].row), N_RESAMPLE, seed)
    flat = [(name, point.label, one) for name, pairs in free.items() for point, one in pairs]
    panel = panel_of(flat, [learns[name] for name, _, _ in flat], n)
    made = {"area": area_replicates(panel, truth, resamples)}
    area_names, areas = made["area"]
    paced = [(name, point.label, one) for name, pairs in bounded.items() for point, one in pairs]
    if paced:
        under = panel_of(paced, [True] * len(paced), n)
        made["budget"] = intervals.averages(intervals.means(under, "quality", resamples), under.settings["policy"])
    references = _references(setup, truth, next((pairs for pairs in bounded.values() if pairs), []))
    compared = {
        name: to_reference(names, one, names.index(reference)).set_index("name") for name, (names, one) in made.items()
    }
    rows = []
    for name in free:
        row: dict[str, Any] = {"hold_out": family, "n": n, "router": name, "learns": learns[name]}
        k = area_names.index(name)
        row["area"], row["area_se"] = float(areas.estimate[k]), float(areas.draws[k].std(ddof=1))
        for kind in ("area", "budget"):
            row |= _difference(kind, name, compared, reference)
        pairs = bounded[name]
        if pairs:
            row["budget_quality"] = float(np.mean([one.quality.mean() for _, one in pairs]))
            row |= budget_keeping([one for _, one in pairs], [point.budget_cost for point, _ in pairs])
        row |= called_ece([one for _, one in free[name]])
        rows.append(row | references)
    single = Frontier.of(truth.cost_usd.mean(axis=0), truth.quality.mean(axis=0))
    by_budget = [
        {
            "hold_out": family,
            "router": name,
            "budget_cost": point.budget_cost,
            "mean_cost": float(one.cost_usd.mean()),
            "worst_cost": float(one.cost_usd.mean(axis=1).max()),
            "mean_quality": float(one.quality.mean()),
            "hull_quality": float(single.quality_at(point.budget_cost)),
        }
        for name, point, one in ((name, *pair) for name, pairs in bounded.items() for pair in pairs)
    ]
    return HoldOut(family, rows, by_budget, made)


def _references(setup: Setup, truth: Outcomes, paced: list[tuple[Point, Played]]) -> dict[str, float]:
    """Hindsight hulls and the oracle, as areas; the hull's mean quality over the budgets."""
    names = setup.estimator.table.domain[setup.estimator.test].astype(str)
    _, domain = np.unique(names, return_inverse=True)
    n = len(truth)
    return {
        "hull": supported_area(truth, np.zeros(n, dtype=np.int64)),
        "hull_by_domain": supported_area(truth, domain),
        "oracle": supported_area(truth, np.arange(n)),
        "budget_hull": hull_under([point.budget_cost for point, _ in paced], truth) if paced else np.nan,
    }


def _difference(kind: str, name: str, compared: dict[str, Any], reference: str) -> dict[str, float]:
    columns = {"difference": f"{kind}_minus_dacr", "low": f"{kind}_low", "high": f"{kind}_high", "p": f"{kind}_p"}
    if name == reference or kind not in compared or name not in compared[kind].index:
        return {column: 0.0 if name == reference and c != "p" else np.nan for c, column in columns.items()}
    made = compared[kind].loc[name]
    return {column: float(made[c]) for c, column in columns.items()}
