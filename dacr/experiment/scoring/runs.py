"""Metrics of runs, by stream order and by domain, and what became of their budgets: many runs are measured abreast."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.cache import Arrays, Cache
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
class _Waiting:
    """One router at one point: what names its runs, what is said of it, and its decisions, (n_run, n)."""

    runs: list[dict[str, Any]]
    about: dict[str, Any]
    columns: dict[str, Any]
    code: Ints
    point: Point
    played: Played


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
    _by_seed: list[dict[str, Any]] = field(default_factory=list)
    _by_domain: list[pd.DataFrame] = field(default_factory=list)
    _budgets: list[dict[str, Any]] = field(default_factory=list)
    _duals: list[dict[str, Any]] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)

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
        about |= {f"param_{name}": value for name, value in point.router.params.items() if name != "lambda_cost"}
        known = {name: columns[name] for name in self._read}
        runs = [{**key, "seed": seed} for seed in seeds]
        if self._waiting and self._waiting[0].code.shape[1] != code.shape[1]:
            self._measure()
        self._waiting.append(_Waiting(runs, about, known, code, point, played))
        if sum(one.code.size for one in self._waiting) >= ABREAST:
            self._measure()

    def _measure(self) -> None:
        """Measure what waits."""
        if not self._waiting:
            return
        keys = [run for one in self._waiting for run in one.runs]
        code = np.concatenate([one.code for one in self._waiting])
        columns = {name: np.concatenate([one.columns[name] for one in self._waiting]) for name in self._read}
        step = max(ABREAST // code.shape[1], 1)
        measured = []
        for first in range(0, len(keys), step):
            some = slice(first, first + step)
            own = {name: values[some] for name, values in columns.items()}
            found = self._found(own, code[some])
            measured += _rows({name: values[:, 0] for name, values in found.items()})
            self._keep_domains(keys[some], code[some], {name: values[:, 1:] for name, values in found.items()})
        first = 0
        for one in self._waiting:
            end = first + len(one.runs)
            rows = [run | got | one.about for run, got in zip(one.runs, measured[first:end], strict=True)]
            self._by_seed += rows
            if one.point.bounded:
                self._keep_duals(rows, one.played)
            first = end
        self._waiting.clear()

    def _found(self, columns: Mapping[str, Floats], code: Ints) -> Arrays:
        """Return every metric of runs, whole and by domain (:func:`~dacr.metrics.metric.measure_by_domain`)."""
        names = [one.name for one in self._metrics]
        return self.cache.call(measure_by_domain, columns, code, len(self.domain), names, made_by=self._metrics)

    def _keep_domains(self, keys: list[dict[str, Any]], code: Ints, found: Mapping[str, NDArray[Any]]) -> None:
        """Keep a row per run and domain that it met."""
        there = np.stack([np.bincount(one, minlength=len(self.domain)) for one in code]) > 0
        run, domain = np.nonzero(there)
        table = pd.DataFrame([keys[r] for r in run])
        table.insert(3, "domain", np.array(self.domain, dtype=object)[domain])
        self._by_domain.append(table.assign(**{name: values[there] for name, values in found.items()}))

    def _keep_duals(self, runs: list[dict[str, Any]], played: Played) -> None:
        """Keep what each run made of its budget, and the mean prices along the stream."""
        assert played.price_cost is not None and played.price_late is not None
        names = (*SETTING, "seed", "n", "mean_quality", "mean_cost", "slo_violation_rate", "shed_rate")
        budgets = {name: runs[0][name] for name in OF_A_POINT[1:]}
        for run, price_cost, price_late in zip(runs, played.price_cost[:, -1], played.price_late[:, -1], strict=True):
            ends = {"price_cost_end": price_cost, "price_late_end": price_late}
            used = {"used": run["mean_cost"] / budgets["budget_cost"]}
            self._budgets.append({name: run[name] for name in names} | budgets | ends | used)
        n = played.price_cost.shape[1]
        at = np.unique(np.linspace(0, n - 1, min(n, SHOWN)).astype(int))
        prices = {
            "price_cost": played.price_cost[:, at].mean(axis=0),
            "price_late": played.price_late[:, at].mean(axis=0),
        }
        self._duals.append({**{name: runs[0][name] for name in SETTING}, "t": at, **prices, **budgets})

    def more_tables(self) -> dict[str, pd.DataFrame]:
        """Return ``budgets`` and ``duals`` where a budget was enforced."""
        self._measure()
        if not self._budgets:
            return {}
        along = [name for name, value in self._duals[0].items() if np.ndim(value)]
        size = [len(one["t"]) for one in self._duals]
        duals = pd.DataFrame(self._duals)
        long = duals.drop(columns=along).loc[np.repeat(duals.index, size)].reset_index(drop=True)
        long = long.assign(**{name: np.concatenate(duals[name].tolist()) for name in along})
        return {"budgets": pd.DataFrame(self._budgets), "duals": long[duals.columns]}

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return metrics, metrics by seed and metrics by domain."""
        self._measure()
        return summarised(pd.DataFrame(self._by_seed), pd.concat(self._by_domain, ignore_index=True))


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


def _rows(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _finite(value: float) -> float:
    return value if np.isfinite(value) else float("nan")
