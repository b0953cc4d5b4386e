"""Metrics of runs, by stream order and by domain, and what became of their budgets: many runs are measured abreast."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.cache import Cache
from dacr.data.schema import family_of
from dacr.metrics.metric import SETTING, measure_by_domain, over_seeds, registered
from dacr.replay.entry import Point
from dacr.types import Floats, Ints, Played

OF_A_POINT = ("order_matters", "enforced", "budgeted", "budget_cost", "budget_late")
"""What is said of a point beside its metrics: whether the order of the stream matters there, whether it is one of the
experiment's budgets, whether a point of a frontier keeps a budget of the operator's, and what is to be kept."""

ABREAST = 2**19
"""Decisions that wait to be measured together: points of small experiments take a few array calls for all of them."""

SHOWN = 200
"""Positions of the stream at which mean prices are kept, at most."""


@dataclass(frozen=True)
class _Point:
    """One router at one point: what names it and is said of it, seeds of its runs, and its decisions, (n_run, n)."""

    key: Mapping[str, Any]
    about: dict[str, Any]
    seeds: tuple[int, ...]
    columns: dict[str, Any]
    code: Ints


@dataclass
class Measures:
    """Collects metrics of runs, router by router, in bounded memory.

    Parameters
    ----------
    domain : tuple of str
        Names of the domains.
    cache : Cache
        Where metrics are kept.
    """

    domain: tuple[str, ...]
    cache: Cache = field(default_factory=lambda: Cache(None))
    _waiting: list[_Point] = field(default_factory=list)
    # Tables are made of these at the end: rows of points; columns of runs, of runs x domains, of what budgets left.
    _points: list[dict[str, Any]] = field(default_factory=list)
    _seeds: list[tuple[int, ...]] = field(default_factory=list)
    _runs: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _domains: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _ends: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _duals: list[dict[str, Any]] = field(default_factory=list)
    _n_run: int = 0

    def __post_init__(self) -> None:
        self._metrics = registered()
        self._read = sorted({name for one in self._metrics for name in one.columns})

    def add(
        self,
        key: Mapping[str, Any],
        point: Point,
        seeds: tuple[int, ...],
        played: Played,
        columns: Mapping[str, Floats],
        code: Ints,
        order_matters: bool,
    ) -> None:
        """Measure a router at one point, all runs, now or together with further points.

        Parameters
        ----------
        key : mapping
            What names the point: :data:`~dacr.metrics.metric.SETTING`.
        columns : mapping of (n_run, n) arrays
            Decisions.
        code : (n_run, n) int
            Their domains.
        """
        cost, late_share = point.allowed
        about = {
            "order_matters": order_matters,
            "enforced": point.enforced,
            "budgeted": point.budgeted,
            "budget_cost": _finite(cost),
            "budget_late": _finite(late_share),
        }
        if point.bounded:
            self._keep_prices(key, about, played)
        about |= {f"param_{name}": value for name, value in point.router.params.items() if name != "lambda_cost"}
        if self._waiting and self._waiting[0].code.shape[1] != code.shape[1]:
            self._measure()
        self._waiting.append(_Point(key, about, seeds, {name: columns[name] for name in self._read}, code))
        if sum(one.code.size for one in self._waiting) >= ABREAST:
            self._measure()

    def _keep_prices(self, key: Mapping[str, Any], about: Mapping[str, Any], played: Played) -> None:
        """Keep the prices of a point's budget: each run's last ones, and means over runs along the stream."""
        assert played.price_cost is not None and played.price_late is not None
        prices = {"price_cost": played.price_cost, "price_late": played.price_late}
        n_run, n = played.price_cost.shape
        run = self._n_run + sum(len(one.seeds) for one in self._waiting) + np.arange(n_run)
        self._ends.append({"run": run, **{f"{name}_end": values[:, -1] for name, values in prices.items()}})
        at = np.unique(np.linspace(0, n - 1, min(n, SHOWN)).astype(int))
        means = {name: values[:, at].mean(axis=0) for name, values in prices.items()}
        self._duals.append({**key, "t": at, **means, **{name: about[name] for name in OF_A_POINT[1:]}})

    def _measure(self) -> None:
        """Measure what waits."""
        if not self._waiting:
            return
        code = np.concatenate([one.code for one in self._waiting])
        columns = {name: np.concatenate([one.columns[name] for one in self._waiting]) for name in self._read}
        self._points += [{**one.key, **one.about} for one in self._waiting]
        self._seeds += [one.seeds for one in self._waiting]
        names = [one.name for one in self._metrics]
        step = max(ABREAST // code.shape[1], 1)
        for first in range(0, len(code), step):
            some = code[first : first + step]
            own = {name: values[first : first + step] for name, values in columns.items()}
            found = self.cache.call(measure_by_domain, own, some, len(self.domain), names, made_by=self._metrics)
            run, domain = np.nonzero([np.bincount(one, minlength=len(self.domain)) for one in some])
            met = {name: values[run, 1 + domain] for name, values in found.items()}
            self._domains.append({"run": self._n_run + run, "domain": domain, **met})
            self._runs.append({name: values[:, 0] for name, values in found.items()})
            self._n_run += len(some)
        self._waiting.clear()

    def _by_seed(self) -> pd.DataFrame:
        self._measure()
        points = pd.DataFrame(self._points)
        points = points.loc[np.repeat(points.index, [len(seeds) for seeds in self._seeds])].reset_index(drop=True)
        runs = {"seed": np.concatenate(self._seeds), **_joined(self._runs)}
        keys = list(SETTING)
        return pd.concat([points[keys], pd.DataFrame(runs), points.drop(columns=keys)], axis=1)

    def more_tables(self) -> dict[str, pd.DataFrame]:
        """Return ``budgets`` and ``duals`` where a budget was enforced."""
        if not self._duals:
            return {}
        ends = _joined(self._ends)
        names = [*SETTING, "seed", "n", "mean_quality", "mean_cost", "slo_violation_rate", "shed_rate", *OF_A_POINT[1:]]
        budgets = self._by_seed().loc[ends.pop("run"), names].reset_index(drop=True).assign(**ends)
        budgets["used"] = budgets["mean_cost"] / budgets["budget_cost"]
        along = [name for name, value in self._duals[0].items() if np.ndim(value)]
        size = [len(one["t"]) for one in self._duals]
        duals = pd.DataFrame(self._duals)
        long = duals.drop(columns=along).loc[np.repeat(duals.index, size)].reset_index(drop=True)
        long = long.assign(**{name: np.concatenate(duals[name].tolist()) for name in along})
        return {"budgets": budgets, "duals": long[duals.columns]}

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return metrics, metrics by seed and metrics by domain."""
        by_seed, found = self._by_seed(), _joined(self._domains)
        by_domain = by_seed.loc[found.pop("run"), [*SETTING, "seed"]].reset_index(drop=True)
        by_domain.insert(3, "domain", np.array(self.domain, dtype=object)[found.pop("domain")])
        return summarised(by_seed, pd.concat([by_domain, pd.DataFrame(found)], axis=1))


def _joined(parts: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def summarised(
    by_seed: pd.DataFrame, by_seed_and_domain: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return metrics, metrics by seed and metrics by domain from those of runs."""
    about = [name for name in by_seed.columns if name.startswith("param_") or name in OF_A_POINT]
    points = by_seed[[*SETTING, *about]].drop_duplicates(SETTING)
    metrics = over_seeds(by_seed.drop(columns=about)).merge(points, on=list(SETTING))
    per_domain = over_seeds(by_seed_and_domain, [*SETTING, "domain"])
    per_domain = per_domain.merge(points[[*SETTING, "enforced"]], on=list(SETTING), how="left")
    per_domain["family"] = per_domain["domain"].map(lambda name: family_of(str(name)))
    return metrics, by_seed, per_domain


def _finite(value: float) -> float:
    return value if np.isfinite(value) else float("nan")
