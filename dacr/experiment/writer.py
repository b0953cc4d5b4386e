"""The results folder: decisions are written as they are made, tables at the end, all or nothing."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dacr.core import files, swap
from dacr.data.schema import family_of
from dacr.experiment.decisions_file import DecisionsFile
from dacr.metrics.metric import SETTING, measure, over_seeds, registered
from dacr.metrics.regret import regret_frame
from dacr.replay.entry import Point
from dacr.replay.testbed import Testbed
from dacr.types import SHED, Ints, Outcomes, Played

WRITTEN = (
    "manifest.json",
    "decisions.parquet",
    "summary.csv",
    "metrics.csv",
    "metrics_by_seed.csv",
    "metrics_by_domain.csv",
    "singles.csv",
    "calibration_ece.csv",
    "reliability.csv",
    "budgets.csv",
    "duals.csv",
    "regret.csv",
    "checks.csv",
    "perfect_information.csv",
    "frontier.csv",
    "replicates.parquet",
    "references.csv",
    "plans.csv",
    "acceptance.csv",
    "stages.csv",
)
"""What an experiment writes."""

TABLES = (
    "main_results", "equal_money", "equal_quality", "in_time", "by_domain", "plans", "calibration", "budgets",
    "perfect_information",
)  # fmt: skip
"""Tables that the report makes of the results: named here, since to import them takes Matplotlib."""

DERIVED = (
    "ope.csv",
    "figures",
    "report.html",
    *(f"{name}.{end}" for name in TABLES for end in ("tex", "md")),
)
"""What figures and report are made of; they go when the results they show are replaced."""


OF_A_POINT = ("order_matters", "enforced", "budgeted", "budget_cost", "budget_late")
"""What is said of a point beside its metrics: whether the order of the stream matters there, whether it is one of the
experiment's budgets, whether a point of a frontier keeps a budget of the operator's, and what is to be kept."""


@dataclass
class ResultsWriter:
    """Collects what an experiment gives, router by router, in bounded memory.

    Parameters
    ----------
    folder : Path
        Where files are written: a temporary folder that is renamed at the end.
    qid, domain : (n,) object
        Of the test rows.
    model : tuple of str
    tau_s : float
    keep_decisions : bool
        False measures decisions without writing them.
    """

    folder: Path
    qid: np.ndarray
    domain: np.ndarray
    model: tuple[str, ...]
    tau_s: float
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    keep_decisions: bool = True
    _by_seed: list[dict[str, Any]] = field(default_factory=list)
    _by_domain: list[dict[str, Any]] = field(default_factory=list)
    _budgets: list[pd.DataFrame] = field(default_factory=list)
    _duals: list[pd.DataFrame] = field(default_factory=list)
    _regret: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        names, code = np.unique(self.domain.astype(str), return_inverse=True)
        self._domains = pa.array(names.tolist())
        self._domain_code = code.astype(np.int32)
        self._qids = pa.array(list(self.qid))
        self._decisions = DecisionsFile(self.folder / "decisions.parquet", self.metadata)
        self._metrics = registered()

    def add(
        self, router: str, point: Point, seeds: tuple[int, ...], played: Played, order_matters: bool = False
    ) -> None:
        """Write the decisions of one router at one point, all runs, and keep its metrics.

        Parameters
        ----------
        order_matters : bool
            Whether the order of the stream does: the runs are then independent stream orders.
        """
        setting, params = point.label, point.router.params
        n_run, n = played.row.shape
        row = played.row.ravel()
        late = (played.latency_s.ravel() > self.tau_s).astype(np.float64)
        seed = np.repeat(np.array(seeds, dtype=np.int64), n)
        lambda_cost = float(params.get("lambda_cost", np.nan))
        model = played.model.ravel()
        columns: dict[str, Any] = {
            "policy": _constant(router, n_run * n),
            "lambda_cost": np.full(n_run * n, lambda_cost),
            "setting": _constant(setting, n_run * n),
            "seed": seed,
            "t": np.tile(np.arange(n), n_run),
            "qid": pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int32)), self._qids),
            "domain": pa.DictionaryArray.from_arrays(pa.array(self._domain_code[row]), self._domains),
            "model": pa.DictionaryArray.from_arrays(
                pa.array(model.astype(np.int32), mask=model == SHED), pa.array(self.model)
            ),
            "quality": played.quality.ravel(),
            "cost": played.cost_usd.ravel(),
            "latency_s": played.latency_s.ravel(),
            "slo_violation": late,
            "p_hat": played.p_hat.ravel(),
            "cost_hat": played.cost_hat.ravel(),
            "p_late": played.p_late.ravel(),
            "attempts": played.attempts.ravel(),
            "propensity": played.propensity.ravel(),
        }
        if self.keep_decisions:
            self._decisions.write(pa.table(columns))
        runs = [
            {
                name: columns[name][k * n : (k + 1) * n]
                for name in sorted({name for one in self._metrics for name in one.columns})
            }
            for k in range(n_run)
        ]
        key = {"policy": router, "lambda_cost": lambda_cost, "setting": setting}
        cost, late_share = point.allowed
        budgets: dict[str, Any] = {
            "enforced": point.enforced,
            "budgeted": point.budgeted,
            "budget_cost": _finite(cost),
            "budget_late": _finite(late_share),
        }
        kind = {"order_matters": order_matters} | budgets
        extra = {f"param_{name}": value for name, value in params.items() if name != "lambda_cost"}
        for name, run, rows in zip(seeds, runs, played.row, strict=True):
            own = key | {"seed": name}
            self._by_seed.append(own | measure(run, self._metrics) | kind | extra)
            self._by_domain += [key | {"domain": d} | own | got for d, got in self._measure_domains(run, rows)]
        if point.bounded:
            self._keep_duals(key, budgets, pd.DataFrame(self._by_seed[-n_run:]), played)

    def _measure_domains(self, run: dict[str, Any], rows: Ints) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield the metrics of a run in each domain."""
        code = self._domain_code[rows]
        order = np.argsort(code, kind="stable")
        ends = np.cumsum(np.bincount(code, minlength=len(self._domains)))
        for d, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
            if end > start:
                mine = order[start:end]
                yield str(self._domains[d]), measure({k: values[mine] for k, values in run.items()}, self._metrics)

    def _keep_duals(self, key: dict[str, Any], budgets: dict[str, Any], by_seed: pd.DataFrame, played: Played) -> None:
        """Keep what each run made of its budget, and the mean prices along the stream (at most 200 positions)."""
        assert played.price_cost is not None and played.price_late is not None
        names = "policy lambda_cost setting seed n mean_quality mean_cost slo_violation_rate shed_rate"
        kept = by_seed[names.split()]
        ends = {"price_cost_end": played.price_cost[:, -1], "price_late_end": played.price_late[:, -1]}
        self._budgets.append(kept.assign(**budgets, **ends, used=kept["mean_cost"] / budgets["budget_cost"]))
        n = played.price_cost.shape[1]
        at = np.unique(np.linspace(0, n - 1, min(n, 200)).astype(int))
        prices = {
            "price_cost": played.price_cost[:, at].mean(axis=0),
            "price_late": played.price_late[:, at].mean(axis=0),
        }
        self._duals.append(pd.DataFrame({**key, "t": at, **prices, **budgets}))

    def add_regret(self, router: str, point: Point, played: Played, truth: Outcomes) -> None:
        """Keep the regret over time of a learner at one point, at its own prices."""
        params = point.router.params
        money, time = float(params.get("lambda_cost", 0.0)), float(params.get("lambda_late", 0.0))
        frame = regret_frame(
            played,
            truth,
            self.tau_s,
            router=router,
            setting=point.label,
            lambda_cost=money,
            lambda_late=time,
            fallback=point.router.fallback,
        )
        self._regret.append(frame)

    def more_tables(self) -> dict[str, pd.DataFrame]:
        """Return ``budgets`` and ``duals`` where a budget was enforced, ``regret`` where something learnt."""
        kept = {"budgets": self._budgets, "duals": self._duals, "regret": self._regret}
        return {name: pd.concat(frames, ignore_index=True) for name, frames in kept.items() if frames}

    def close(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Finish the decisions; write and return metrics, metrics by seed and metrics by domain."""
        self._decisions.close()
        return summarised(pd.DataFrame(self._by_seed), pd.DataFrame(self._by_domain))


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


def _constant(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([text]))


def write_csv(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a table with 10 significant digits: enough for any use, and the same on every platform."""
    frame.to_csv(folder / name, index=False, float_format="%.10g", lineterminator="\n")


def singles_table(bed: Testbed, tau_s: float) -> pd.DataFrame:
    """Return what each single model gives on the ``n`` test queries where it was recorded: the reference set."""
    known = None if bed.table.recorded is None else bed.table.recorded[bed.test]
    quality, cost = bed.table.quality[bed.test], bed.table.cost_usd[bed.test]
    latency = bed.table.latency_s[bed.test]
    return pd.DataFrame(
        {
            "model": list(bed.table.model),
            "n": len(bed.test) if known is None else known.sum(axis=0),
            "mean_quality": quality.mean(axis=0),
            "mean_cost": cost.mean(axis=0),
            "mean_latency_s": latency.mean(axis=0),
            "p95_latency_s": np.quantile(latency, 0.95, axis=0),
            "slo_violation_rate": (latency > tau_s).mean(axis=0),
        }
    )


@contextlib.contextmanager
def replace_results(target: Path, owned: Sequence[str] = (*WRITTEN, *DERIVED)) -> Iterator[Path]:
    """Yield a fresh folder; if the block succeeds its files replace the earlier results in ``target``.

    All or nothing, also for who is killed in between: see :mod:`dacr.core.swap`.

    Parameters
    ----------
    owned : sequence of str
        Names of all that the block may write, and of what is derived from it: those that it does not write are
        removed. Anything else in ``target`` stays. By default an experiment's.
    """
    with swap.replace_files(files.make_folder(target), owned) as fresh:
        yield fresh
