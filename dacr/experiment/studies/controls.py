"""The controls of a hold-out: shuffled features, identical routers against each other, predictors' AUC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dacr.core.registry import routers
from dacr.data.table import RoutingTable
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.control_measures import concordance, false_wins, shuffled_within
from dacr.experiment.studies.holdout_play import Ran, play_routers, same_orders, setup_of
from dacr.metrics import resample
from dacr.metrics.areas import area_replicates, panel_of
from dacr.metrics.panel import Panel
from dacr.replay.play import parts_of
from dacr.replay.setup import Setup

SHUFFLED = ("dacr", "static", "predict_optimize", "knn")
OTHER_SEEDS = 1_000_000


def controls_of(
    family: str,
    settings: ExperimentSettings,
    setup: Setup,
    ran: Sequence[Ran],
    table: RoutingTable,
    max_queries: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return one row per control and subject.

    Columns: hold_out, control, subject, value, reference (what the value is to be held against).

    - ``auc``: a predictor's within-domain AUC on the hold-out, mean over models; reference .5, no ranking.
    - ``shuffled``: a router's area with features shuffled within domains; reference its area without.
    - ``a_a``: share of frontier points where dacr and dacr under other seeds differ; reference .05.
    """
    free = replace(settings, budget_grid=0)
    rows = [*_auc(setup, [one.name for one in ran])]
    names = [name for name in SHUFFLED if name in {one.name for one in ran}]
    shuffled = setup_of(free, table, max_queries, shuffled_within(setup.estimator.x, list(table.domain)))
    as_is = _areas([one for one in ran if one.name in names], setup, seed)
    mixed = _areas(play_routers(names, shuffled), setup, seed)
    for name in names:
        rows.append(_row("shuffled", name, mixed[name], as_is[name]))
    rows.append(_row("a_a", "dacr", _a_a(replace_settings(setup, free), ran, seed), 0.05))
    return [{"hold_out": family} | row for row in rows]


def replace_settings(setup: Setup, settings: Any) -> Setup:
    """Return the same arena under other settings: estimates are shared, not made again."""
    return Setup(settings, setup.estimator, setup.cues_train, setup.cues_test)


def _row(control: str, subject: str, value: float, reference: float) -> dict[str, Any]:
    return {"control": control, "subject": subject, "value": value, "reference": reference}


def _auc(setup: Setup, names: Sequence[str]) -> list[dict[str, Any]]:
    estimator = setup.estimator
    domain = list(estimator.table.domain[estimator.test])
    used = sorted({parts_of(routers.get(name), setup.settings)[0] for name in names})
    return [
        _row(
            "auc",
            one,
            float(np.nanmean(concordance(estimator.predictions(one, "test"), setup.truth.quality, domain))),
            0.5,
        )
        for one in used
    ]


def _frontier(ran: Sequence[Ran], setup: Setup) -> Panel:
    flat = [(one.name, point.label, played) for one in ran for point, played in one.at(bounded=False)]
    learns = {one.name: one.learns for one in ran}
    return panel_of(flat, [learns[name] for name, _, _ in flat], len(setup.truth))


def _areas(ran: Sequence[Ran], setup: Setup, seed: int) -> dict[str, float]:
    panel = _frontier(ran, setup)
    names, areas = area_replicates(panel, setup.truth, resample.draw(len(setup.truth), panel.n_order, 1, seed))
    return dict(zip(names, areas.estimate.tolist(), strict=True))


def _a_a(setup: Setup, ran: Sequence[Ran], seed: int) -> float:
    """Play dacr again in the same orders under other seeds; return the share of points that differ."""
    world = same_orders(setup)
    again = replace(world.learning, seed=tuple(OTHER_SEEDS + one for one in world.learning.seed))
    other = play_routers(["dacr"], setup, world=replace(world, learning=again))
    first = _frontier([one for one in ran if one.name == "dacr"], setup)
    second = _frontier(other, setup)
    draws = resample.draw(len(setup.truth), first.n_order, 1000, seed)
    return float(np.nanmean(false_wins(first, second, draws)))
