"""The pipeline's stages at one size, each measured: what an experiment does, from generated rows to written tables."""

from __future__ import annotations

import contextlib
import io as streams
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.matrix_store import SUFFIX
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.experiment import checks
from dacr.experiment.benchmark.decisions import static_names
from dacr.experiment.benchmark.measure import measured, peak_mib
from dacr.experiment.calibration.beliefs import OnlineCalibration
from dacr.experiment.calibration.tables import calibration_tables
from dacr.experiment.checks.from_experiment import context_of
from dacr.experiment.writer import ResultsWriter, singles_table, write_csv
from dacr.replay.entry import Entry
from dacr.replay.play import enter, play
from dacr.replay.settings import ExperimentSettings
from dacr.replay.setup import Setup, set_up
from dacr.types import Played

STAGES = (
    "generate",
    "convert to a store",
    "load",
    "split, tokens, latency",
    "features",
    "predict (logistic)",
    "predict (low rank)",
    "predict (knn)",
    "calibrate",
    "cost and lateness",
    "static routers",
    "dacr",
    "metrics, decisions",
    "calibration tables",
    "checks",
)
OWN_PREDICTOR = ("knn", "joint_ranker")
"""Static routers that bring a predictor of their own, which would be part of their time."""


def settings_of(data: Path, results_dir: Path) -> ExperimentSettings:
    """Return a small experiment: a fifth of the queries tested, two prices, two orders, one job."""
    return ExperimentSettings(
        data=data,
        results_dir=results_dir,
        lambdas=FloatList([5.0, 50.0]),
        seeds=IntList([1]),
        orders=2,
        calibrators=StrList(["platt", "base_slope"]),
        n_jobs=1,
        no_cache=True,
    )


def run_stages(n_query: int, folder: Path, models: int = 0) -> Iterator[dict[str, Any]]:
    """Run every stage on ``n_query`` generated queries; yield one measurement each.

    Yields
    ------
    dict
        ``stage``, ``n_query``, ``wall_s``, ``processor_s``, ``peak_mib`` (of the process, what earlier stages hold
        included) and ``start_mib`` (of the process before the first stage).
    """
    start = peak_mib()
    kept: dict[str, Any] = {}
    with threadpool_limits(1):
        for name, work in zip(STAGES, _works(n_query, folder, kept), strict=True):
            taken = measured(lambda work=work: _quietly(work))  # type: ignore[misc]
            yield {"stage": name, "n_query": n_query, **vars(taken), "start_mib": start}


def _works(n_query: int, folder: Path, kept: dict[str, Any]) -> list[Callable[[], object]]:
    """Return the work of each stage; what one leaves for the next stands in ``kept``."""
    long, store = folder / "long.parquet", folder / f"matrices{SUFFIX}"
    settings = settings_of(long, folder / "results")

    def set_up_all() -> None:
        kept["bed"], kept["setup"] = set_up(settings, kept["table"], Cache(None))

    def predict(name: str) -> None:
        for kind in ("oof", "test"):
            kept["setup"].estimator.predictions(name, kind)

    def calibrate() -> None:
        for name in ("platt", "base_slope"):
            for part in ("train", "test"):
                _ = kept["setup"].estimator.calibrated[settings.predictor, name, part]

    def play_static() -> None:
        names = [name for name in static_names() if name not in OWN_PREDICTOR]
        kept["played"] = [_played(name, kept["setup"]) for name in names]

    def play_dacr() -> None:
        kept["played"].append(_played("dacr", kept["setup"]))

    return [
        lambda: prepare_routerbench(sample=n_query, out=str(long)),
        lambda: prepare_routerbench(pkl=str(long), out=str(store)),
        lambda: kept.update(table=load(long)),
        set_up_all,
        lambda: kept["setup"].estimator.x,
        lambda: predict("logistic"),
        lambda: predict("low_rank"),
        lambda: predict("knn"),
        calibrate,
        lambda: kept["setup"].estimator.training("logistic", "platt"),
        play_static,
        play_dacr,
        lambda: kept.update(written=_write(kept["played"], kept["setup"], kept["bed"], folder)),
        lambda: _tables(kept["setup"], settings, folder),
        lambda: checks.run(_context(kept, settings)),
    ]


def _quietly(work: Callable[[], object]) -> None:
    with contextlib.redirect_stdout(streams.StringIO()):
        work()


def _played(name: str, setup: Setup) -> tuple[Entry, list[Played]]:
    entry = enter(name, setup)
    return entry, play(entry, replace(setup.world, record_beliefs=entry.learns))


def _write(
    played: list[tuple[Entry, list[Played]]], setup: Setup, bed: Any, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure and write all decisions, as an experiment does; return the metrics, and those of every run."""
    estimator = setup.estimator
    table, test = estimator.table, estimator.test
    writer = ResultsWriter(folder, table.qid[test], table.domain[test], table.model, setup.settings.tau_seconds)
    online = OnlineCalibration(table.domain[test], table.model)
    for entry, results in played:
        for point, one in zip(entry.points, results, strict=True):
            world = setup.world
            writer.add(entry.name, point, world.runs_of(point).seed, one, world.order_matters(point))
            if entry.learns:
                online.add(entry.name, point.label, one, setup.world)
                writer.add_regret(entry.name, point, one, world.offered(one.row))
    metrics, by_seed, _ = writer.close()
    write_csv(folder, "metrics.csv", metrics)
    return metrics, by_seed


def _tables(setup: Setup, settings: ExperimentSettings, folder: Path) -> None:
    calibration, reliability = calibration_tables(setup.estimator, settings)
    write_csv(folder, "calibration_ece.csv", calibration)
    write_csv(folder, "reliability.csv", reliability)


def _context(kept: dict[str, Any], settings: ExperimentSettings) -> checks.Context:
    singles = singles_table(kept["bed"], settings.tau_seconds)
    metrics, by_seed = kept["written"]
    return context_of(settings, kept["bed"], kept["setup"].estimator, metrics, by_seed, singles, same_order=False)
