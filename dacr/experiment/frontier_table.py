"""What each router's frontier is worth, in the measures of the field: ``frontier.csv``.

A row per router and run, and one (``seed`` is ``mean``) of the settings' means over runs. Of areas that row has 95 %
intervals and paired differences to a reference: every router's replicates come from the same resamples of queries,
and those of learners from the same resamples of stream orders too. Only replicates are kept, so memory is that of one
router; ``replicates.parquet`` keeps them for whoever compares routers of several folders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.metrics import frontier, intervals, paired, resample
from dacr.metrics.intervals import Replicates
from dacr.metrics.panel import VALUES, panel_of
from dacr.metrics.resample import Resamples
from dacr.replay.entry import Entry
from dacr.replay.world import World
from dacr.types import Floats, Outcomes, Played

REFERENCE = "dacr"
MEAN = "mean"
AREAS = ("area", "net_area")
BUDGET = "budget"
"""Mean quality over the enforced budgets."""
BRIER = "brier"
"""Brier score of a calibrator, mean over models; smaller is better."""
Collected = dict[str, dict[str, Replicates]]
"""Measure -> router -> its replicates."""


@dataclass
class FrontierTable:
    """Collects the frontiers of an experiment, router by router.

    Parameters
    ----------
    truth : Outcomes
        Of the test queries.
    price : float
        Of a late answer, in quality: net areas are of quality - price x late.
    tau_s : float
        A call that takes longer is late.
    n_resample, seed : int
        Bootstrap replicates, and what names them.
    budgets : bool
        Also replicate what comes of enforced budgets.
    """

    truth: Outcomes
    price: float
    tau_s: float
    n_resample: int = 500
    seed: int = 0
    budgets: bool = False
    collected: Collected = field(default_factory=dict)

    def add(self, entry: Entry, played: Sequence[Played], world: World) -> None:
        """Replicate the areas of one router's frontier, and its mean quality under enforced budgets."""
        pairs = list(zip(entry.points, played, strict=True))
        free = [(point, one) for point, one in pairs if not point.enforced]
        held = [(point, one) for point, one in pairs if point.enforced]
        if free:
            runs = [(entry.name, point.label, one) for point, one in free]
            depends = [world.order_matters(point) for point, _ in free]
            panel = panel_of(runs, depends, len(self.truth), VALUES | {"net": self._net})
            resamples = self._drawn(panel.n_order)
            cost, *worth = (intervals.means(panel, name, resamples) for name in ("cost", "quality", "net"))
            single_cost, *single_worth = self._single
            for name, quality, single in zip(AREAS, worth, single_worth, strict=True):
                areas = intervals.frontier_areas(panel, cost, quality, (single_cost, single))[1]
                self.collected.setdefault(name, {})[entry.name] = areas
        if held and self.budgets:
            panel = panel_of([(entry.name, p.label, one) for p, one in held], [True] * len(held), len(self.truth))
            quality = intervals.means(panel, "quality", self._drawn(panel.n_order))
            averaged = intervals.averages(quality, panel.settings["policy"])[1]
            self.collected.setdefault(BUDGET, {})[entry.name] = averaged

    def add_mean(self, measure: str, name: str, values: Floats) -> None:
        """Replicate the mean of one value per test query: (n,)."""
        draws = self._drawn(1).means(values[:, None])
        self.collected.setdefault(measure, {})[name] = Replicates(
            np.array([values.mean()]), draws, [intervals.BY_QUERY]
        )

    def frame(self, by_seed: pd.DataFrame, metrics: pd.DataFrame, singles: pd.DataFrame) -> pd.DataFrame:
        """Return the table, given the metrics of runs, their means over runs, and those of single models."""
        oracle = float(self.truth.known(self.truth.quality, -np.inf).max(axis=1).mean())
        rows = []
        for part, seeds in ((metrics.assign(seed=MEAN), 0), (by_seed, 1)):
            free = part[~part["enforced"].astype(bool)]
            for (router, seed), points in free.groupby(["policy", "seed"], sort=False):
                measured = measures(points, singles, self.price, oracle)
                rows.append({"policy": router, "seed": seed, "n_setting": len(points)} | measured | {"_last": seeds})
        made = pd.DataFrame(rows).sort_values("_last", kind="stable").drop(columns="_last")
        return with_intervals(made, self.collected)

    def _net(self, one: Played) -> Floats:
        return one.quality - self.price * (one.latency_s > self.tau_s)

    @cached_property
    def _single(self) -> list[Replicates]:
        """Cost, quality and net quality of each single model: the same for every number of runs."""
        truth = self.truth
        values = truth.cost_usd, truth.quality, truth.quality - self.price * truth.late
        return [intervals.of_models(one, self._drawn(1)) for one in values]

    @cached_property
    def _counts(self) -> NDArray[np.float32]:
        """Of queries, resampled alike for every number of runs."""
        return resample.query_counts(len(self.truth), self.n_resample, self.seed)

    def _drawn(self, n_run: int) -> Resamples:
        return Resamples(self._counts, resample.order_weights(n_run, self.n_resample, self.seed))


def with_intervals(made: pd.DataFrame, collected: Collected) -> pd.DataFrame:
    """Add intervals of each router's areas, and paired differences to the reference, to the rows of means."""
    names = list(collected["area"])
    reference = names.index(REFERENCE) if REFERENCE in names else 0
    out = pd.DataFrame({"policy": names, "seed": MEAN, "reference": names[reference]})
    for name in AREAS:
        joined = together(collected[name], names)
        out[f"{name}_low"], out[f"{name}_high"] = joined.interval()
        table = paired.to_reference(names, joined, reference).set_index("name")
        for column, title in (
            ("difference", "difference"),
            ("low", "difference_low"),
            ("high", "difference_high"),
            ("p_holm", "p_holm"),
            ("verdict", "verdict"),
        ):
            out[f"{name}_{title}"] = out["policy"].map(table[column])
    return made.merge(out, on=["policy", "seed"], how="left")


def together(own: Mapping[str, Replicates], names: Sequence[str]) -> Replicates:
    """Put the replicates of several routers beside each other, in the order of names."""
    return Replicates(
        np.concatenate([own[name].estimate for name in names]),
        np.concatenate([own[name].draws for name in names]),
        [method for name in names for method in own[name].method],
    )


def write_replicates(path: Path, collected: Collected, order: Sequence[str]) -> None:
    """Write the replicates: a row per measure and router, in this order, ``draws`` a list of numbers."""
    rows = [
        {
            "measure": measure,
            "policy": name,
            "estimate": one.estimate[0],
            "method": one.method[0],
            "draws": one.draws[0],
        }
        for measure, own in collected.items()
        for name, one in sorted(own.items(), key=lambda named: [*order, named[0]].index(named[0]))
    ]
    pd.DataFrame(rows, columns=["measure", "policy", "estimate", "method", "draws"]).to_parquet(path)


def read_replicates(path: Path) -> Collected:
    """Read what :func:`write_replicates` wrote."""
    collected: Collected = {}
    for row in pd.read_parquet(path).itertuples():
        one = Replicates(np.array([row.estimate]), np.asarray(row.draws)[None], [row.method])
        collected.setdefault(row.measure, {})[row.policy] = one
    return collected


def measures(points: pd.DataFrame, singles: pd.DataFrame, price: float, oracle: float) -> dict[str, Any]:
    """Return every measure of one frontier (see :mod:`dacr.metrics.frontier`).

    Parameters
    ----------
    points, singles : DataFrame
        ``mean_cost``, ``mean_quality`` and ``slo_violation_rate`` of the settings, and of the single models.
    price : float
        Of a late answer, in quality.
    oracle : float
        Mean quality of the best model for each query.
    """
    cost, quality = _points(points)
    single_cost, single_quality = _points(singles)
    net = quality - price * points["slo_violation_rate"].to_numpy(dtype=np.float64)
    single_net = single_quality - price * singles["slo_violation_rate"].to_numpy(dtype=np.float64)
    # Of equal costs the better model, of equal qualities the cheaper one.
    weak_at, strong_at = np.lexsort((-single_quality, single_cost))[0], np.lexsort((single_cost, -single_quality))[0]
    weak = float(single_cost[weak_at]), float(single_quality[weak_at])
    strong = float(single_cost[strong_at]), float(single_quality[strong_at])
    return {
        "area": frontier.lambda_frontier_area(cost, quality, single_cost, single_quality),
        "net_area": frontier.lambda_frontier_area(cost, net, single_cost, single_net),
        "aiq": frontier.aiq(cost, quality, float(single_cost.min()), float(single_cost.max())),
        "apgr": frontier.apgr(cost, quality, weak, strong),
        "cpt_50": frontier.cpt(cost, quality, weak, strong, 0.5),
        "cpt_80": frontier.cpt(cost, quality, weak, strong, 0.8),
        "perf_gain": frontier.perf_gain(cost, quality, strong[1]),
        "cost_save": frontier.cost_save(cost, quality, *strong),
        "oracle_share": frontier.oracle_share(float(quality.max()), strong[1], oracle),
    }


def _points(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    return frame["mean_cost"].to_numpy(dtype=np.float64), frame["mean_quality"].to_numpy(dtype=np.float64)
