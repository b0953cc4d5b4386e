"""Leave one domain out, in turn: does a router's gain hold where training saw nothing like it?

For each hold-out all routers play the same stream orders, along a grid of prices and under a grid of budgets
that are enforced. Latency plays no part unless it is given a price: the question is quality for money.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest, registry
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.table import load
from dacr.experiment.groups import FAMILY, grouped, groups_of
from dacr.experiment.groups import hold_outs as named_hold_outs
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.choice import chosen_settings, in_words, inner_cells
from dacr.experiment.studies.conducted import conducted, shared
from dacr.experiment.studies.holdout_tables import (
    AREA,
    NET_AREA,
    REFERENCE,
    over_prices,
    pooled,
    priced,
    study_tables,
)
from dacr.experiment.studies.holdout_text import study_text, write_section
from dacr.experiment.sweep.folder import locked
from dacr.experiment.writer import replace_results, write_csv
from dacr.replay.arms import NONE
from dacr.workload.latency_log import MissingLatency

ROUTERS = (
    "dacr", "dacr_full", "dacr_eq9", "static", "base_rate", "predict_optimize", "knn", "joint_ranker", "linucb",
    "paced_bandit", "port",
)  # fmt: skip
LAMBDAS = (0.0, *(float(f"{value:.4g}") for value in np.geomspace(3, 8000, 14)))
WRITTEN = (
    "holdouts.csv", "holdouts_pooled.csv", "holdouts_budgets.csv", "choices.csv", "prices.csv", "controls.csv",
    "holdouts.md", "manifest.json",
)  # fmt: skip
"""What a study writes: tables of an earlier one go, also those that this one does not make."""

SHUFFLED = ("dacr", "static", "predict_optimize", "knn")
PERMUTED = ("dacr", "consensus")
ALONE = ("dacr", "static", "base_rate")
OTHER_SEEDS = 1_000_000
N_RESAMPLE = 1000
_Cells = dict[str, tuple[ExperimentSettings, Manner]]


def study_holdouts(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    hold_outs: StrList = StrList(),  # noqa: B008 (a tuple: immutable)
    group_by: str = FAMILY,
    min_n: int = 200,
    orders: int = 10,
    budgets: int = 20,
    routers: StrList = StrList(ROUTERS),  # noqa: B008
    predictor: str = "logistic",
    calibrator: str = "base_slope",
    plans: str = ExperimentSettings.plans,
    n_plans: int = ExperimentSettings.n_plans,
    price_draws: int = 0,
    max_queries: int = 0,
    lambda_lat: float = 0.0,
    tau_seconds: float = ExperimentSettings.tau_seconds,
    latency_log: Path | None = None,
    missing_latency: MissingLatency = ExperimentSettings.missing_latency,
    config_latency: Path = ExperimentSettings.config_latency,
    replicas: str = "",
    rate_qps: float = ExperimentSettings.rate_qps,
    controls: bool = False,
    nested: bool = False,
    plugin: Path | None = None,
    out_dir: Path = Path("results_holdouts"),
    document: Path | None = None,
    title: str = "",
    no_cache: bool = False,
    n_jobs: int = 2,
) -> None:
    """Hold out each family of domains in turn and compare routers there, by area and under enforced budgets.

    Parameters
    ----------
    data
        Long table from scripts/prepare_routerbench.py.
    hold_outs
        Families of domains, one hold-out each, or several together: "mbpp,arc-challenge+winogrande"; by default
        all with enough queries.
    group_by
        What is held out together: family, a column of the table, or a separator such as "/", before which the name of
        a domain's group stands.
    min_n
        Queries that a family needs to be held out by default.
    orders
        Independent stream orders.
    budgets
        Enforced budgets, from 1.25 times the cheapest model's mean cost to the dearest's.
    routers
        Registered routers; dacr, with which all are compared, is needed.
    predictor
        Registered quality predictor of the routers that do not bring their own.
    calibrator
        Registered calibrator of the routers that do not bring their own.
    plans
        Ways to answer that ask several models: auto, none, or a file with one plan a line. With plans, routers also
        play on the models alone ("dacr alone"), and pooled tables also weigh hold-outs by their queries.
    n_plans
        How many plans auto chooses at most.
    price_draws
        Do all again under so many lists of other prices, each model's by a factor of .5 to 2.
    max_queries
        Play at most so many queries of a hold-out, the first of its stream; 0 plays all.
    lambda_lat
        Price of a late answer in quality, for every router; areas are of quality less that.
    tau_seconds
        A call that takes longer is late.
    latency_log
        Measured or simulated latency, one line per (qid, model); without it latency is simulated.
    missing_latency
        What to do with a log that lacks models of a query: error, drop (the query) or impute (by the model).
    config_latency
        Latency model for what the log does not have.
    replicas
        Replicas of each model behind which calls queue, "2" or "name=2,other=4" with every model.
    rate_qps
        Arrivals per second where the log gives no arrival times.
    controls
        Also shuffle features within domains, and play dacr against itself.
    nested
        Choose routers' tunable arguments by leaving each training family out in turn, for each hold-out anew.
    plugin
        Python file with registered parts of one's own.
    out_dir
        Folder for holdouts.csv, holdouts_pooled.csv, holdouts_budgets.csv (each router under each budget), choices.csv
        (with --nested), controls.csv and holdouts.md; cells/ in it has the experiments, as they end. The same command
        again does what is left.
    document
        Markdown file in which the section called like the title is replaced or added.
    title
        Of that section; the name of the data file by default.
    no_cache
        Compute everything afresh.
    n_jobs
        Worker processes.
    """
    config = {name: value for name, value in locals().items() if name not in ("out_dir", "document", "n_jobs")}
    if plugin is not None:
        registry.load_plugin(plugin)
    if REFERENCE not in routers:
        raise UserError(f"--routers {','.join(routers)}: all are compared with {REFERENCE}; add it")
    table = grouped(load(data, with_response=False, incomplete=True), data, group_by)
    groups = groups_of(table, data, group_by)
    held = named_hold_outs(table, hold_outs, min_n, groups=groups)
    common = ExperimentSettings(
        **shared(config),
        lambdas=FloatList(LAMBDAS),
        dacr_lambda_lat=lambda_lat,
        budget_grid=budgets,
        seeds=IntList(range(1, orders + 1)),
    )
    with locked(out_dir):
        chosen: Mapping[str, Mapping[str, dict[str, Any]]] = {}
        if nested:
            inner = {name: inner_cells(common, table, groups, outer, min_n, group_by) for name, outer in held.items()}
            every = {cell: what for own in inner.values() for cell, what in own.items()}
            folders = conducted(every, data, out_dir, n_jobs, not no_cache)
            chosen = {name: chosen_settings(routers, [folders[k] for k in own]) for name, own in inner.items()}
        cells: _Cells = {}
        for seed, (name, prefixes) in enumerate(held.items()):
            arguments = chosen.get(name, {})
            entrants = {router: Entrant(router, arguments.get(router, {})) for router in routers}
            if plans != NONE:
                entrants |= {
                    f"{router} alone": replace(entrants[router], alone=True) for router in ALONE if router in routers
                }
            manner = Manner(
                compared=True, decisions="none", entrants=entrants, max_queries=max_queries, n_resample=N_RESAMPLE,
                resample_seed=seed, references=True, group_by=group_by,
            )  # fmt: skip
            cells[name] = settings, _ = replace(common, ood_holdout=StrList(prefixes)), manner
            cells |= {priced(name, k): (replace(settings, price_draw=k), manner) for k in range(1, price_draws + 1)}
            if controls:
                cells |= _controls(name, *cells[name])
        folders = conducted(cells, data, out_dir, n_jobs, not no_cache)
        area = NET_AREA if lambda_lat else AREA
        tables = study_tables(folders, list(held), controls, area, plans != NONE)
        if price_draws:
            lists = [[folders[priced(name, k)] for name in held] for k in range(1, price_draws + 1)]
            tables["prices"] = over_prices([pooled(one, area, plans != NONE) for one in lists])
        choices = [
            (name, router, in_words(own)) for name, all_ in chosen.items() for router, own in all_.items() if own
        ]
        if choices:
            tables["choices"] = pd.DataFrame(choices, columns=["hold_out", "router", "chosen"])
        text = study_text(tables, _command(config, data))
        about = manifest.build("study_holdouts", config, {"data": data}, hold_outs=list(held))
        with replace_results(out_dir, WRITTEN) as folder:
            for stem, frame in tables.items():
                write_csv(folder, f"{stem}.csv", frame)
            files.write_text(folder / "holdouts.md", f"# Hold-outs of {data.name}\n\n{text}")
            about["files"] = sorted(path.name for path in folder.iterdir())
            files.write_json(folder / "manifest.json", about)
    if document is not None:
        write_section(document, title or data.stem, text)
    print(text)


def _controls(name: str, settings: ExperimentSettings, manner: Manner) -> _Cells:
    """Return the experiments that ask what is left of a gain where there should be none.

    Does it survive when features are shuffled within domains? Then it is knowledge about domains, not about requests.
    Do two identical routers beat each other? Then the test is wrong.
    """
    free = replace(settings, budget_grid=0)
    plain = replace(manner, entrants={}, references=False)
    names = StrList([router for router in SHUFFLED if router in settings.routers])
    with_plans = StrList([router for router in PERMUTED if router in settings.routers])
    alone, both = replace(free, routers=StrList(["dacr"])), replace(plain, decisions="frontiers")
    permuted = replace(free, routers=with_plans), replace(plain, permuted=True)
    return ({} if settings.plans == NONE else {f"{name} permuted": permuted}) | {
        f"{name} shuffled": (replace(free, routers=names), replace(plain, shuffled=True)),
        f"{name} once": (alone, replace(both, entrants={"dacr": manner.entrants["dacr"]})),
        f"{name} again": (
            alone,
            replace(both, entrants={"dacr": manner.entrants["dacr"]}, other_seeds=OTHER_SEEDS),
        ),
    }


def _command(config: Mapping[str, Any], data: Path) -> str:
    """Return the command that makes the tables again, without paths of this machine."""
    said = f"python scripts/study_holdouts.py --data {data.name} --orders {config['orders']}"
    said += f" --budgets {config['budgets']}"
    said += f" --hold_outs {','.join(config['hold_outs'])}" * bool(config["hold_outs"])
    for name in ("group_by", "lambda_lat", "tau_seconds", "replicas", "price_draws"):
        default = inspect.signature(study_holdouts).parameters[name].default
        said += f" --{name} {config[name]}" * (config[name] != default)
    said += f" --plans {config['plans']}" * (config["plans"] != NONE)
    said += f" --max_queries {config['max_queries']}" * bool(config["max_queries"])
    return said + " --controls true" * config["controls"] + " --nested true" * config["nested"]
