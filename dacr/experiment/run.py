"""The conductor: table -> estimates -> replay -> results. The only code that sets up, enters, plays, checks, writes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from dacr.core import files, manifest, memory, registry
from dacr.core.background import Submit, background, one_thread
from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.data.splits import held_out_domains
from dacr.data.table import RoutingTable, load
from dacr.experiment import checks
from dacr.experiment.calibration.tables import calibration_tables, compared, unusable
from dacr.experiment.checks.from_experiment import context_of
from dacr.experiment.groups import grouped
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.plans_table import plans_table
from dacr.experiment.record import Record, describe, left_out
from dacr.experiment.references import references, shuffled_within
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.stages import Stages
from dacr.experiment.summary import print_summary
from dacr.experiment.tracking import mlflow
from dacr.experiment.writer import replace_results, write_csv
from dacr.replay.entry import Entry
from dacr.replay.kept import Kept
from dacr.replay.play import parts_of, play
from dacr.replay.setup import Setup, read_off, set_up
from dacr.replay.testbed import Testbed
from dacr.replay.world import World
from dacr.types import Floats, Ints, Played


@dataclass(frozen=True)
class Conducted:
    """What an experiment came to: its tables, by the stem of their file, and what the checks found."""

    tables: dict[str, pd.DataFrame]
    found: pd.DataFrame
    sources: dict[str, Any]


def run_experiment(settings: ExperimentSettings, quiet: bool = False) -> None:
    """Run routers on a benchmark and write metrics, calibration tables and every decision.

    Parameters
    ----------
    quiet : bool
        Say nothing of what came out: the caller does.
    """
    if settings.plugin is not None:
        registry.load_plugin(settings.plugin)
    for name in settings.draw_routers if settings.draw else ():
        if settings.routers and name not in settings.routers:
            raise UserError(f"--draw_routers {name!r} is none of --routers {','.join(settings.routers)}")
        registry.routers.get(name)
    uri = mlflow.address(settings.track)
    done = conduct(settings, in_sight=True)
    if not quiet:
        print(checks.to_text(done.found))
        print_summary(settings, done.sources, done.tables)
        for name, why in (left_out(settings) | unusable(settings)).items():
            print(f"{name} is left out: {why}")
    if settings.draw:
        draw(settings)
    elif not quiet:
        print(f"figures: python scripts/make_figures.py --results_dir {settings.results_dir}")
    if uri:
        mlflow.log(uri, settings.results_dir)


def draw(settings: ExperimentSettings) -> None:
    """Draw the figures of an experiment that has just been written."""
    from dacr.report.make import make_figures  # a second of imports that cells of sweeps and studies do without

    gc.collect()  # an experiment's estimates refer to themselves, and figures are drawn without collecting cycles
    memory.release()
    make_figures(results_dir=str(settings.results_dir), routers=settings.draw_routers)


def conduct(
    settings: ExperimentSettings,
    manner: Manner = Manner(),  # noqa: B008 - immutable
    *,
    table: RoutingTable | None = None,
    about: Mapping[str, Any] | None = None,
    in_sight: bool = False,
) -> Conducted:
    """Run one experiment and write its results folder, all or nothing.

    Parameters
    ----------
    table : RoutingTable, optional
        In place of the file that ``settings.data`` names.
    about : mapping, optional
        The manifest of the folder; by default what made it, command and versions included.
    in_sight : bool
        Show on the screen what is being done.
    """
    entrants = manner.entrants_of(settings)
    registry.predictors.get(settings.predictor)
    registry.calibrators.get(settings.calibrator)
    settings.stream_protocol  # noqa: B018 (a mistake is told before anything is computed)
    if settings.save_router is not None:
        from dacr.replay.saved import router_to_save

        router_to_save(list(entrants), settings.sweep)  # now: a mistake is told before anything is computed
    bar = tqdm(total=len(entrants) + 2, desc="table", disable=None if in_sight else True, file=sys.stderr, leave=False)
    cache = Cache.from_environment(not settings.no_cache)
    stages = Stages(bar.set_description)
    # One thread for linear algebra: sums round the same on any machine, and replays use the cores already.
    with one_thread(), background(settings.n_jobs) as submit:
        table = load(settings.data, incomplete=True) if table is None else table
        table = grouped(table, settings.data, manner.group_by)
        if manner.without:
            out = held_out_domains(table.domain.tolist(), manner.without)
            table = table.take(np.flatnonzero(~np.isin(table.domain.astype(str), out)))
        stages("split, tokens, latency")
        bed, setup = set_up(settings, table, cache, max_queries=manner.max_queries, progress=stages)
        if manner.shuffled:
            features = shuffled_within(setup.estimator.x, table.domain.tolist())
            bed, setup = set_up(settings, table, cache, features=features, max_queries=manner.max_queries)
        del table  # what is read from here on is the testbed's, which holds less
        bed = read_off(bed, setup)
        if manner.permuted and setup.arms is not None:
            setup = replace(setup, arms=setup.arms.permuted())
        entrants = {name: one for name, one in entrants.items() if setup.arms is not None or not one.part.needs_plans}
        if not entrants:
            raise UserError(f"--routers {','.join(settings.routers)}: there are no plans: {bed.sources['plans']}")
        bar.update()
        if settings.save_router is not None:
            from dacr.replay.saved import router_to_save, save_from_setup

            save_from_setup(settings.save_router, setup, router_to_save(list(entrants), settings.sweep))
        made = dict(describe(settings, bed, entrants) if about is None else about)
        with replace_results(settings.results_dir) as folder:
            world = manner.world_of(setup)
            record = Record(folder, bed, setup, world, manner, entrants, manifest.to_metadata(made))
            # What a file of the user's computes is not kept: no hash covers its code.
            kept_in = cache if settings.plugin is None else Cache(None)
            learning = start_learners(entrants, setup, replace(world, record_beliefs=True), kept_in, submit, stages)
            for name, one in entrants.items():
                if name not in learning:
                    stages(f"{name}: fit")
                    entry = one.enter(name, setup)
                    stages(name)
                    record.add(entry, play(entry, world))
                    bar.update()
            # Now, not with the other tables: learners may still be playing.
            offline = Offline.of(settings, setup, manner, stages)
            for name in list(learning):
                stages(name)
                entry, result = learning.pop(name)
                record.add(entry, result())
                del entry, result  # decisions of all runs: those of one learner at a time where nobody plays ahead
                bar.update()
            stages("tables")
            if offline is not None and manner.compared:
                record.add_calibrators(setup.estimator, compared(settings))
            tables, found = _tables(record, offline, settings, bed, setup, entrants, stages)
            if setup.arms is not None:
                tables["plans"] = plans_table(setup.arms)
            if manner.references:
                stages("references")
                used = {parts_of(one.part, settings)[0] for one in entrants.values()}
                tables["references"] = references(setup, used, settings.lambda_lat)
            bar.update()
            for stem, frame in {**tables, "stages": stages.frame()}.items():
                write_csv(folder, f"{stem}.csv", frame)
            made["files"] = sorted(path.name for path in folder.iterdir())
            files.write_json(folder / "manifest.json", made)
    bar.close()
    return Conducted(tables, found, bed.sources)


def start_learners(
    entrants: Mapping[str, Entrant],
    setup: Setup,
    world: World,
    cache: Cache,
    submit: Submit,
    say: Callable[[str], None],
) -> dict[str, tuple[Entry, Callable[[], list[Played]]]]:
    """Fit the learners and let them play in the background; return each with a way to wait for its results."""
    learning = {}
    for name, one in entrants.items():
        if one.part.learns:
            say(f"{name}: fit")
            entry = one.enter(name, setup)
            kept = Kept.of(entry, world, cache)
            learning[name] = entry, kept.start(entry, world, submit)
    return learning


@dataclass(frozen=True)
class Offline:
    """What needs no router: calibration of offline predictions, and the nearest training question of each query."""

    calibration: pd.DataFrame
    reliability: pd.DataFrame
    nearest: tuple[Floats, Ints]

    @classmethod
    def of(
        cls,
        settings: ExperimentSettings,
        setup: Setup,
        manner: Manner,
        say: Callable[[str], None],
    ) -> Offline | None:
        """Compute it; None where the experiment is to be a light one."""
        if manner.light:
            return None
        say("calibration tables")
        calibration = calibration_tables(setup.estimator, settings)
        say("near-duplicates")
        return cls(*calibration, setup.estimator.prompts.nearest())


def _tables(
    record: Record,
    offline: Offline | None,
    settings: ExperimentSettings,
    bed: Testbed,
    setup: Setup,
    entrants: Mapping[str, Entrant],
    say: Callable[[str], None],
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Return every table by the stem of its file, and what the checks found."""
    tables = record.close()
    if offline is None:
        return tables, pd.DataFrame()
    tables |= record.online.joined_to(offline.calibration, offline.reliability)
    say("checks")
    seen = tables["metrics"], tables["metrics_by_seed"], tables["singles"]
    parts = {name: one.part for name, one in entrants.items()}
    context = context_of(settings, bed, setup.estimator, *seen, same_order=settings.orders == 1, parts=parts)
    found = checks.run(replace(context, nearest=offline.nearest))
    return tables | {"checks": found}, found
