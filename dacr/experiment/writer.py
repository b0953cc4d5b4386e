"""The results folder: decisions are written as they are made, tables at the end, all or nothing."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dacr.core import files, swap
from dacr.core.cache import Cache
from dacr.experiment.decisions_file import DecisionsFile
from dacr.experiment.scoring.runs import Measures
from dacr.metrics.regret import regret_frame
from dacr.replay.entry import Point
from dacr.replay.testbed import Testbed
from dacr.types import SHED, Outcomes, Played

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

_SPECIAL = re.compile(r'[,"\r\n]')
"""What a cell of a CSV file must stand in quotes for."""

DERIVED = (
    "ope.csv",
    "figures",
    "report.html",
    *(f"{name}.{end}" for name in TABLES for end in ("tex", "md")),
)
"""What figures and report are made of; they go when the results they show are replaced."""


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
    cache : Cache
        Where metrics are kept.
    """

    folder: Path
    qid: np.ndarray
    domain: np.ndarray
    model: tuple[str, ...]
    tau_s: float
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    keep_decisions: bool = True
    cache: Cache = field(default_factory=lambda: Cache(None))
    _regret: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        names, code = np.unique(self.domain.astype(str), return_inverse=True)
        self._domains = pa.array(names.tolist())
        self._domain_code = code.astype(np.min_scalar_type(len(names)))  # few bits are sorted without comparing
        self._qids = pa.array(list(self.qid))
        self._decisions = DecisionsFile(self.folder / "decisions.parquet", self.metadata)
        self._measures = Measures(tuple(names.tolist()), self.cache)

    def add(
        self, router: str, point: Point, seeds: tuple[int, ...], played: Played, order_matters: bool = False
    ) -> None:
        """Write the decisions of one router at one point, all runs, and keep its metrics.

        Parameters
        ----------
        order_matters : bool
            Whether the order of the stream does: the runs are then independent stream orders.
        """
        setting = point.label
        n_run, n = played.row.shape
        row = played.row.ravel()
        late = (played.latency_s.ravel() > self.tau_s).astype(np.float64)
        seed = np.repeat(np.array(seeds, dtype=np.int64), n)
        lambda_cost = float(point.router.params.get("lambda_cost", np.nan))
        model = played.model.ravel()
        columns: dict[str, Any] = {
            "policy": _constant(router, n_run * n),
            "lambda_cost": np.full(n_run * n, lambda_cost),
            "setting": _constant(setting, n_run * n),
            "seed": seed,
            "t": np.tile(np.arange(n), n_run),
            "qid": pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int32)), self._qids),
            "domain": pa.DictionaryArray.from_arrays(pa.array(self._domain_code[row].astype(np.int32)), self._domains),
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
        runs = {name: values.reshape(n_run, n) for name, values in columns.items() if isinstance(values, np.ndarray)}
        key = {"policy": router, "lambda_cost": lambda_cost, "setting": setting}
        self._measures.add(key, point, seeds, played, runs, self._domain_code[played.row], order_matters)

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
        regret = {"regret": pd.concat(self._regret, ignore_index=True)} if self._regret else {}
        return self._measures.more_tables() | regret

    def close(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Finish the decisions; return metrics, metrics by seed and metrics by domain."""
        self._decisions.close()
        return self._measures.tables()


def _constant(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([text]))


def write_csv(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a table with 10 significant digits: enough for any use, and the same on every platform."""
    columns = [_cells(frame.iloc[:, k]) for k in range(frame.shape[1])]
    lines = [",".join(map(_quoted, frame.columns)), *map(",".join, zip(*columns, strict=True)), ""]
    (folder / name).write_bytes("\n".join(lines).encode())


def _cells(column: pd.Series) -> list[str]:
    """Return what a CSV file shows of a column, nothing where there is no value.

    All numbers of a column are written at once, and each text once: pandas calls two functions for each number, which
    took a twelfth of a study of small hold-outs.
    """
    if column.dtype.kind == "f":
        return ("%.10g\n" * len(column) % tuple(column.tolist())).replace("nan", "").split("\n")[:-1]
    code, values = pd.factorize(column)
    shown = [*map(_quoted, values), ""]  # the last one, at -1, is for no value
    return [shown[k] for k in code.tolist()]


def _quoted(value: object) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


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
