"""The conductor: table -> estimates -> replay -> results. One page; each station is a module of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from dacr.core import files, manifest, registry
from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.core.processes import Submit, background
from dacr.data.table import count_rows, load
from dacr.experiment import checks
from dacr.experiment.calibration.beliefs import OnlineCalibration
from dacr.experiment.calibration.tables import calibration_tables
from dacr.experiment.checks.from_experiment import context_of
from dacr.experiment.checks.near_duplicates import nearest_questions
from dacr.experiment.frontier_table import FrontierTable
from dacr.experiment.left_out import PERFECT, REGRET, left_out
from dacr.experiment.perfect_information import PerfectInformation
from dacr.experiment.summary import print_summary
from dacr.experiment.writer import ResultsWriter, replace_results, singles_table, write_csv
from dacr.replay.entry import Entry
from dacr.replay.kept import Kept, any_kept
from dacr.replay.play import enter, parts_of, play
from dacr.replay.protocols.combined import parse
from dacr.replay.settings import ExperimentSettings
from dacr.replay.setup import Setup, set_up
from dacr.replay.testbed import Testbed
from dacr.types import Played

BACKGROUND_FROM = 60_000
"""Learners x rows of the long table from which processes of their own are worth their start."""


def run_experiment(settings: ExperimentSettings) -> None:
    """Run routers on a benchmark and write metrics, calibration tables and every decision."""
    if settings.plugin is not None:
        registry.load_plugin(settings.plugin)
    if settings.list:
        list_parts()
        return
    names = chosen_routers(settings)
    registry.predictors.get(settings.predictor)
    registry.calibrators.get(settings.calibrator)
    parse(settings.protocol)
    if settings.save_router is not None:
        from dacr.replay.saved import router_to_save

        router_to_save(names, settings)  # now: a mistake is told before anything is computed
    bar = tqdm(total=len(names) + 2, desc="table", disable=None, file=sys.stderr, leave=False)
    cache = Cache.from_environment(not settings.no_cache)
    n_learner = sum(registry.routers.get(name).learns for name in names)
    n_process = settings.n_jobs if n_learner * count_rows(settings.data) >= BACKGROUND_FROM else 1
    # Where replays are kept, this one may be: then no process need start.
    at_once = 0 if any_kept(cache) else n_learner
    # One thread for linear algebra: sums round the same on any machine, and processes share the cores already.
    with threadpool_limits(1), background(n_process, settings.plugin, at_once) as submit:
        _run(settings, names, cache, submit, bar)


def _run(settings: ExperimentSettings, names: list[str], cache: Cache, submit: Submit, bar: Any) -> None:
    say: Callable[[str], None] = bar.set_description
    table = load(settings.data)
    bed, setup = set_up(settings, table, cache, progress=say)
    estimator = setup.estimator
    bar.update()
    if settings.save_router is not None:
        from dacr.replay.saved import router_to_save, save_from_setup

        save_from_setup(settings.save_router, setup, router_to_save(names, settings))
    with replace_results(settings.results_dir) as folder:
        about = describe(settings, bed, names)
        writer = ResultsWriter(
            folder,
            bed.table.qid[bed.test],
            bed.table.domain[bed.test],
            bed.table.model,
            settings.tau_seconds,
            manifest.to_metadata(about),
        )
        online = OnlineCalibration(bed.table.domain[bed.test], bed.table.model)
        missing = left_out(settings)
        wanted = settings.decision_info == "both" and PERFECT not in missing
        perfect = PerfectInformation(settings.tau_seconds) if wanted else None
        frontiers = FrontierTable(setup.truth, settings.lambda_lat, settings.tau_seconds)
        learning = start_learners(names, setup, cache, submit, say)
        for name in names:
            if name not in learning:
                say(name)
                entry = enter(name, setup)
                played = play(entry, setup.world)
                write(writer, online, entry, played, setup, perfect)
                frontiers.add(entry, played, setup.world)
                bar.update()
        say("calibration")
        calibration, reliability = calibration_tables(estimator, settings)
        say("near-duplicates")  # now, not with the other checks: learners may still be playing
        nearest = nearest_questions(bed.table.prompt[bed.train], bed.table.prompt[bed.test], cache)
        for name, (entry, result) in learning.items():
            say(name)
            played = result()
            write(writer, online, entry, played, setup, perfect)
            frontiers.add(entry, played, setup.world)
            bar.update()
        metrics, by_seed, by_domain = (mark(in_order(frame, names), settings) for frame in writer.close())
        singles = singles_table(bed, settings.tau_seconds)
        say("checks")
        context = context_of(settings, bed, estimator, metrics, by_seed, singles, same_order=settings.orders == 1)
        found = checks.run(replace(context, nearest=nearest))
        bar.update()
        tables = {
            "metrics": metrics,
            "metrics_by_seed": by_seed,
            "metrics_by_domain": by_domain,
            "singles": singles,
            "calibration_ece": online.joined_to(calibration),
            "reliability": online.bins_joined_to(reliability),
            "checks": found,
            "frontier": mark(in_order(frontiers.frame(by_seed, metrics, singles), names), settings),
            **writer.more_tables(),
        }
        if perfect is not None:
            tables["perfect_information"] = perfect.frame()
        for stem, frame in tables.items():
            write_csv(folder, f"{stem}.csv", frame)
        about["files"] = sorted(path.name for path in folder.iterdir())
        files.write_json(folder / "manifest.json", about)
    bar.close()
    print(checks.to_text(found))
    print_summary(settings, bed.sources, metrics, singles, None if perfect is None else perfect.frame())
    for name, why in missing.items():
        print(f"{name} is left out: {why}")


def start_learners(
    names: list[str], setup: Setup, cache: Cache, submit: Submit, say: Callable[[str], None]
) -> dict[str, tuple[Entry, Callable[[], list[Played]]]]:
    """Fit the learners and let them play in the background; return each with a way to wait for its results."""
    learning = {}
    world = replace(setup.world, record_beliefs=True)
    for name in names:
        if registry.routers.get(name).learns:
            say(f"{name}: fit")
            entry = enter(name, setup)
            kept = Kept.of(entry, world, cache if setup.settings.plugin is None else Cache(None))
            learning[name] = entry, kept.start(entry, world, submit)
    return learning


def write(
    writer: ResultsWriter,
    online: OnlineCalibration,
    entry: Entry,
    played: list[Played],
    setup: Setup,
    perfect: PerfectInformation | None = None,
) -> None:
    """Write what an entry did at each of its points; beliefs and regret of a learner along its frontier."""
    world = setup.world
    for point, one in zip(entry.points, played, strict=True):
        writer.add(entry.name, point, world.runs_of(point).seed, one, world.order_matters(point))
        if entry.learns and not point.enforced:
            online.add(entry.name, point.label, one, world)
            if REGRET not in left_out(setup.settings):
                writer.add_regret(entry.name, point, one, world.offered(one.row))
    if perfect is not None:
        perfect.add(entry, setup.world, played)


def in_order(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the rows in the order in which routers were asked for."""
    rank = {name: k for k, name in enumerate(names)}
    return frame.iloc[np.argsort(frame["policy"].map(rank), kind="stable")].reset_index(drop=True)


def chosen_routers(settings: ExperimentSettings) -> list[str]:
    """Return the routers asked for, each known; all of them by default."""
    names = list(settings.routers) or registry.routers.names()
    for name in names:
        registry.routers.get(name)
    if len(set(names)) != len(names):
        raise UserError(f"--routers names one twice: {','.join(names)}")
    return names


def list_parts() -> None:
    """Print every registered part with the first line of its docstring."""
    for kind, parts in registry.ALL.items():
        print(f"{kind}:")
        for name, part in parts.items():
            print(f"  {name:18} {(part.__doc__ or '').strip().splitlines()[0]}")


def mark(frame: pd.DataFrame, settings: ExperimentSettings) -> pd.DataFrame:
    """Say in every row what kind of router it is of, and which information decisions were made on."""
    for flag in ("learns", "clairvoyant", "full_information"):
        marked = {name: bool(getattr(part, flag)) for name, part in registry.routers.items()}
        frame[flag] = frame["policy"].map(marked)
    info = "oracle" if settings.decision_info == "oracle" else "predicted"
    frame["decision_info"] = np.where(frame["clairvoyant"], "truth", info)
    return frame


def describe(settings: ExperimentSettings, bed: Testbed, names: list[str]) -> dict[str, Any]:
    """Return the manifest of this experiment."""
    inputs: dict[str, str | Path] = {"data": settings.data, "config_latency": settings.config_latency}
    for role in ("stream", "latency_log", "features", "plugin", "domain_labels"):
        path = getattr(settings, role)
        if path is not None:
            inputs[role] = path
    parts = {name: parts_of(registry.routers.get(name), settings) for name in names}
    return manifest.build(
        "run_experiment",
        settings.as_dict(),
        inputs,
        held_out=list(bed.held_out),
        sources=bed.sources,
        protocol=str(parse(settings.protocol)),
        routers={name: {"predictor": p, "calibrator": c} for name, (p, c) in parts.items()},
        left_out=left_out(settings),
    )
