"""The controls of a hold-out: shuffled features, identical routers against each other, predictors' AUC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dacr.core.registry import routers
from dacr.data.table import RoutingTable
from dacr.experiment.studies.control_measures import concordance, false_wins, shuffled_within
from dacr.experiment.studies.holdout_play import Ran, arena_of, play_routers, same_orders
from dacr.metrics import resample
from dacr.metrics.areas import area_replicates, panel_of
from dacr.metrics.panel import Panel
from dacr.replay.play import parts_of
from dacr.replay.world import Arena

SHUFFLED = ("dacr", "static", "predict_optimize", "knn")
OTHER_SEEDS = 1_000_000


def controls_of(
    family: str, arena: Arena, ran: Sequence[Ran], table: RoutingTable, max_queries: int, seed: int
) -> list[dict[str, Any]]:
    """Return one row per control and subject.

    Columns: hold_out, control, subject, value, reference (what the value is to be held against).

    - ``auc``: a predictor's within-domain AUC on the hold-out, mean over models; reference .5, no ranking.
    - ``shuffled``: a router's area with features shuffled within domains; reference its area without.
    - ``a_a``: share of frontier points where dacr and dacr under other seeds differ; reference .05.
    """
    free = replace(arena.settings, budget_grid=0)
    rows = [*_auc(arena, [one.name for one in ran])]
    names = [name for name in SHUFFLED if name in {one.name for one in ran}]
    shuffled = arena_of(free, table, max_queries, shuffled_within(arena.estimator.x, list(table.domain)))
    as_is = _areas([one for one in ran if one.name in names], arena, seed)
    mixed = _areas(play_routers(names, shuffled), arena, seed)
    for name in names:
        rows.append(_row("shuffled", name, mixed[name], as_is[name]))
    rows.append(_row("a_a", "dacr", _a_a(replace_settings(arena, free), ran, seed), 0.05))
    return [{"hold_out": family} | row for row in rows]


def replace_settings(arena: Arena, settings: Any) -> Arena:
    """Return the same arena under other settings: estimates are shared, not made again."""
    return Arena(settings, arena.estimator, arena.cues_train, arena.cues_test)


def _row(control: str, subject: str, value: float, reference: float) -> dict[str, Any]:
    return {"control": control, "subject": subject, "value": value, "reference": reference}


def _auc(arena: Arena, names: Sequence[str]) -> list[dict[str, Any]]:
    estimator = arena.estimator
    domain = list(estimator.table.domain[estimator.test])
    used = sorted({parts_of(routers.get(name), arena.settings)[0] for name in names})
    return [
        _row(
            "auc",
            one,
            float(np.nanmean(concordance(estimator.predictions(one, "test"), arena.truth.quality, domain))),
            0.5,
        )
        for one in used
    ]


def _frontier(ran: Sequence[Ran], arena: Arena) -> Panel:
    flat = [(one.name, point.label, played) for one in ran for point, played in one.at(bounded=False)]
    learns = {one.name: one.learns for one in ran}
    return panel_of(flat, [learns[name] for name, _, _ in flat], len(arena.truth))


def _areas(ran: Sequence[Ran], arena: Arena, seed: int) -> dict[str, float]:
    panel = _frontier(ran, arena)
    names, areas = area_replicates(panel, arena.truth, resample.draw(len(arena.truth), panel.n_order, 1, seed))
    return dict(zip(names, areas.estimate.tolist(), strict=True))


def _a_a(arena: Arena, ran: Sequence[Ran], seed: int) -> float:
    """Play dacr again in the same orders under other seeds; return the share of points that differ."""
    field = same_orders(arena)
    again = replace(field.learning, seed=tuple(OTHER_SEEDS + one for one in field.learning.seed))
    other = play_routers(["dacr"], arena, field=replace(field, learning=again))
    first = _frontier([one for one in ran if one.name == "dacr"], arena)
    second = _frontier(other, arena)
    draws = resample.draw(len(arena.truth), first.n_order, 1000, seed)
    return float(np.nanmean(false_wins(first, second, draws)))
