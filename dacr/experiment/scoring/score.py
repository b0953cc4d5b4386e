"""Score decisions that were made elsewhere: ``scripts/score_decisions.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.data.refine import costs_said
from dacr.data.schema import incomplete
from dacr.data.table import RoutingTable, load, told_of
from dacr.experiment import checks
from dacr.experiment.calibration.tables import bin_rows, measure_rows
from dacr.experiment.frontier_table import FrontierTable
from dacr.experiment.scoring.audit import audit_of
from dacr.experiment.scoring.decisions import Submission, lay_out, read
from dacr.experiment.scoring.hindsight import CLAIRVOYANT, compared, references
from dacr.experiment.scoring.leaderboard import leaderboard_of
from dacr.experiment.writer import DERIVED, WRITTEN, ResultsWriter, replace_results, singles_table, write_csv
from dacr.metrics.calibration.bins import ALL, Groups
from dacr.metrics.calibration.grouped import grouped_calibration
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.metrics.calibration.reported import by_row
from dacr.replay.arms import with_plans, without_plans
from dacr.replay.entry import Entry, Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.testbed import Testbed
from dacr.replay.unrecorded import with_means
from dacr.replay.world import World
from dacr.routers.base import Learner, Router
from dacr.routers.plans.base import is_plan, parse_plan
from dacr.types import Estimates, Outcomes, Runs


class Outside(Router):
    """A router that decided elsewhere: only its decisions are known."""


class OutsideInOrders(Learner):
    """The same, where decisions differ between stream orders: it learns along them, or draws."""


def score_decisions(
    *,
    data: Path,
    decisions: StrList,
    results_dir: Path = Path("results_scored"),
    tau_seconds: float = 10.0,
    lambda_lat: float = 1.0,
    leaderboard: Path | None = None,
) -> None:
    """Score decisions that were made elsewhere as our own routers are: quality, cost, area, intervals, audit.

    Parameters
    ----------
    data : Path
        Long table that was recorded: scripts/prepare_routerbench.py writes it.
    decisions : list of Path
        Files of decisions (CSV, JSON, JSONL, Parquet), globs too: qid and model, and what else is known.
    results_dir : Path
        Folder for the results; scripts/make_figures.py draws them.
    tau_seconds : float
        An answer that takes longer is late.
    lambda_lat : float
        Price of a late answer, in quality.
    leaderboard : Path, optional
        Markdown file for the ranking, ties as ties.

    Raises
    ------
    UserError
        A file without qid or model, models that the data has not, or no query in common.
    """
    paths = [path for pattern in decisions for path in _found(pattern)]
    frame = pd.concat([read(path) for path in paths], ignore_index=True)
    table, n_model = _with_plans(frame, data)
    decided, whole, audit = lay_out(frame, table)
    audit += audit_of(decided, whole)
    arms, table = table.model, without_plans(whole, n_model)
    missing = "" if table.recorded is None else incomplete(table.recorded)
    table = with_means(table, np.arange(table.n_query))
    if missing:
        print(f"{missing}: single models stand on the queries where they were recorded")
    known = bool(np.isfinite(table.latency_s).all())
    price = lambda_lat if known else 0.0  # of routers alone, whose files say what they waited, it would be unfair
    if lambda_lat and not known:
        print("lateness is not priced: the data has not recorded the latency of every answer")
    taken = {one.router for one in decided}
    beside = [one for one in references(table) if one.router not in taken]
    settings = {"data": data, "decisions": list(decisions), "tau_seconds": tau_seconds, "lambda_lat": price}
    inputs = {"data": data} | {f"decisions {path.stem}": path for path in paths}
    sources = {"missing_outcomes": missing, "costs": costs_said(told_of(data))}
    about = manifest.build("score_decisions", settings, inputs, n_query=table.n_query, sources=sources)
    with replace_results(results_dir, (*WRITTEN, *DERIVED, "paired.csv", "audit.csv")) as folder:
        writer = _Writer(folder, table, arms, tau_seconds, price, manifest.to_metadata(about))
        for group in _by_router([*decided, *beside]):
            writer.add(group)
        tables = writer.tables(decided)
        tables["paired"] = compared(decided, table, price, tau_seconds)
        tables["audit"] = pd.DataFrame(audit, columns=["router", "severity", "finding", "n"])
        for stem, frame in tables.items():
            write_csv(folder, f"{stem}.csv", frame)
        about["files"] = sorted(path.name for path in folder.iterdir())
        files.write_json(folder / "manifest.json", about)
    if leaderboard is not None:
        names = list(dict.fromkeys(one.router for one in decided))
        files.write_text(leaderboard, leaderboard_of(names, tables, writer.frontiers, table.n_query))
        print(f"wrote {leaderboard}")
    for row in audit:
        print(
            f"{row['severity']}: {row['router']}: {row['finding']}"
            + (f" ({row['n']})" if row["severity"] != "info" else "")
        )
    print(checks.to_text(tables["checks"]).split("\nchecks: ")[0] if len(checks.findings(tables["checks"])) else "")
    shown = ["policy", "setting", "mean_quality", "mean_cost", "slo_violation_rate"]
    print(tables["metrics"][shown].to_string(index=False, float_format=lambda value: f"{value:.5g}"))
    print(f"wrote {results_dir}; figures: python scripts/make_figures.py --results_dir {results_dir}")


class _Writer:
    """Writes what an experiment writes, from decisions: one path to every number."""

    def __init__(
        self,
        folder: Path,
        table: RoutingTable,
        arms: tuple[str, ...],
        tau_s: float,
        price: float,
        metadata: dict[bytes, bytes],
    ) -> None:
        every = np.arange(table.n_query)
        late = table.latency_s > tau_s
        self.table, self.tau_s, self.price = table, tau_s, price
        truth = Outcomes(table.quality, table.cost_usd, table.latency_s, late, recorded=table.recorded)
        self.frontiers = FrontierTable(truth, price, tau_s)
        runs = Runs(every[None], every.astype(float), (0,))
        self._world = World(FeedbackPlan(0, 0.0), tau_s, None, 0.0, truth, runs, runs)
        self._writer = ResultsWriter(folder, table.qid, table.domain, arms, tau_s, metadata)
        none = np.array([], dtype=np.int64)
        self.singles = singles_table(Testbed(table, none, every, every.astype(float), ()), tau_s)

    def add(self, group: Sequence[Submission]) -> None:
        """Write one router at all its settings."""
        points = tuple(
            Point(one.setting, OutsideInOrders() if one.order_matters else Outside(), enforced=one.enforced)
            for one in group
        )
        for point, one in zip(points, group, strict=True):
            self._writer.add(one.router, point, one.order, one.played, one.order_matters)
        # No estimate of an outside router is known, and the table of frontiers reads none.
        entry = Entry(group[0].router, points, cast(Estimates, None))
        self.frontiers.add(entry, [one.played for one in group], self._world)

    def tables(self, decided: Sequence[Submission]) -> dict[str, pd.DataFrame]:
        """Return the tables of a results folder, checks included."""
        metrics, by_seed, by_domain = self._writer.close()
        frontier = self.frontiers.frame(by_seed, metrics, self.singles)
        tables = {"metrics": metrics, "metrics_by_seed": by_seed, "metrics_by_domain": by_domain, "frontier": frontier}
        learns = {one.router for one in decided if one.order_matters and not one.enforced}
        for frame in tables.values():
            frame["learns"], frame["full_information"] = frame["policy"].isin(learns), False
            frame["clairvoyant"] = frame["policy"] == CLAIRVOYANT
            frame["decision_info"] = np.where(frame["clairvoyant"], "truth", "predicted")
        context = checks.Context(
            metrics=metrics[~metrics["policy"].isin(["oracle", "zero", "cheapest", "best_single"])],
            single_cost=self.singles["mean_cost"].to_numpy(),
            single_quality=self.singles["mean_quality"].to_numpy(),
            single_late=self.singles["slo_violation_rate"].to_numpy(),
            price_late=self.price,
            learners=tuple(sorted(learns)),
            clairvoyant=(),
            latency_coverage=float(np.isfinite(self.table.latency_s).mean()),
            latency_treatment="--tau_seconds counts known latencies alone",
            test_domain=self.table.domain,
            quality=self._world.truth.known(self.table.quality),
            models=self.table.model,
        )
        return tables | {"singles": self.singles, "checks": checks.run(context), **self._calibration(decided)}

    def _calibration(self, decided: Sequence[Submission]) -> dict[str, pd.DataFrame]:
        """Return both tables of calibration, of called pairs, where the files say p."""
        groups = Groups.of(self.table.domain)
        tables, bins = [], []
        for one in decided:
            if not np.isfinite(one.played.p_hat).any():
                continue
            p, q = (by_row(one.played.row, values) for values in (one.played.p_hat, one.played.quality))
            found = grouped_calibration(p, q, groups, learner=one.order_matters)
            about = {"calibrator": one.router, "stage": "online", "setting": one.setting}
            tables.append(measure_rows({name: x[:, 1:] for name, x in found.items()}, groups, (ALL,), **about))
            pooled = pooled_bins(p, q, groups, [0, *groups.families])
            bins.append(bin_rows(pooled, groups, model=ALL, **about))
        if not tables:
            return {}
        return {"calibration_ece": pd.concat(tables), "reliability": pd.concat(bins)}


def _with_plans(frame: pd.DataFrame, data: Path) -> tuple[RoutingTable, int]:
    """Return the table, with a column for each plan that was decided on, and the number of its models.

    Plans order their models by quality on queries that nobody decided on, as an experiment does on its training part;
    on all where there are none.
    """
    specs = [name for name in pd.unique(frame["model"]) if is_plan(name)]
    table = load(data, with_response=bool(specs), incomplete=True)
    if not specs:
        return table, table.n_model
    unknown = sorted({one for spec in specs for one in parse_plan(spec).members} - set(table.model))
    if unknown:
        raise UserError(f"a plan asks {unknown[0]!r}, which the data has not; it has {', '.join(table.model)}")
    untouched = np.flatnonzero(~np.isin(table.qid.astype(str), frame["qid"].unique()))
    return with_plans(table, specs, untouched if len(untouched) else np.arange(table.n_query)), table.n_model


def _by_router(decided: Sequence[Submission]) -> list[list[Submission]]:
    groups: dict[str, list[Submission]] = {}
    for one in decided:
        groups.setdefault(one.router, []).append(one)
    return list(groups.values())


def _found(pattern: str) -> list[Path]:
    path = Path(pattern)
    found: list[Any] = sorted(path.parent.glob(path.name)) if any(sign in path.name for sign in "*?[") else [path]
    if not found:
        raise UserError(f"--decisions {pattern}: no such file")
    return [files.existing_file(one) for one in found]
