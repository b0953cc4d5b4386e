"""Leave one domain out, in turn: does a router's gain hold where training saw nothing like it?

For each hold-out all routers play the same stream orders, along a grid of prices and under a grid of budgets
that are enforced. Latency plays no part (its price is 0): the question is quality for money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.table import load
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.choice import chosen_settings, in_words, inner_cells
from dacr.experiment.studies.conducted import TOGETHER, conducted, hold_outs
from dacr.experiment.studies.holdout_tables import (
    REFERENCE,
    budget_rows,
    control_rows,
    holdout_rows,
    pooled,
    with_verdicts,
)
from dacr.experiment.studies.holdout_text import study_text, write_section
from dacr.experiment.sweep.folder import locked
from dacr.experiment.writer import replace_results, write_csv

ROUTERS = (
    "dacr",
    "dacr_full",
    "dacr_eq9",
    "static",
    "base_rate",
    "predict_optimize",
    "knn",
    "joint_ranker",
    "linucb",
    "paced_bandit",
    "port",
)
LAMBDAS = (0.0, *(float(f"{value:.4g}") for value in np.geomspace(3, 8000, 14)))
WRITTEN = (
    "holdouts.csv",
    "holdouts_pooled.csv",
    "holdouts_budgets.csv",
    "choices.csv",
    "controls.csv",
    "holdouts.md",
    "manifest.json",
)
"""What a study writes: tables of an earlier one go, also those that this one does not make."""

SHUFFLED = ("dacr", "static", "predict_optimize", "knn")
OTHER_SEEDS = 1_000_000
N_RESAMPLE = 1000
_Cells = dict[str, tuple[ExperimentSettings, Manner]]


def study_holdouts(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    hold_outs: StrList = StrList(),  # noqa: B008 (a tuple: immutable)
    min_n: int = 200,
    orders: int = 10,
    budgets: int = 20,
    routers: StrList = StrList(ROUTERS),  # noqa: B008
    predictor: str = "logistic",
    calibrator: str = "base_slope",
    max_queries: int = 0,
    controls: bool = False,
    nested: bool = False,
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
    max_queries
        Play at most so many queries of a hold-out, the first of its stream; 0 plays all.
    controls
        Also shuffle features within domains, and play dacr against itself.
    nested
        Choose routers' tunable arguments by leaving each training family out in turn, for each hold-out anew.
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
    if REFERENCE not in routers:
        raise UserError(f"--routers {','.join(routers)}: all are compared with {REFERENCE}; add it")
    held = _held(data, tuple(hold_outs), min_n)
    common = ExperimentSettings(
        data=data,
        lambdas=FloatList(LAMBDAS),
        lambda_lat=0.0,
        dacr_lambda_lat=0.0,
        budget_grid=budgets,
        orders=orders,
        seeds=IntList(range(1, orders + 1)),
        routers=routers,
        predictor=predictor,
        calibrator=calibrator,
        no_cache=no_cache,
    )
    with locked(out_dir):
        chosen: Mapping[str, Mapping[str, dict[str, Any]]] = {}
        if nested:
            table = load(data, with_response=False)
            inner = {name: inner_cells(common, table, name.split(TOGETHER), min_n) for name in held}
            folders = conducted({k: c for own in inner.values() for k, c in own.items()}, data, out_dir, n_jobs)
            chosen = {name: chosen_settings(routers, [folders[k] for k in own]) for name, own in inner.items()}
        cells: _Cells = {}
        for seed, (name, prefixes) in enumerate(held.items()):
            arguments = chosen.get(name, {})
            entrants = {router: Entrant(router, arguments.get(router, {})) for router in routers}
            manner = Manner(
                compared=True, decisions="none", entrants=entrants, max_queries=max_queries, n_resample=N_RESAMPLE,
                resample_seed=seed, references=True,
            )  # fmt: skip
            cells[name] = replace(common, ood_holdout=StrList(prefixes)), manner
            if controls:
                cells |= _controls(name, *cells[name])
        folders = conducted(cells, data, out_dir, n_jobs, not no_cache)
        tables = _tables(folders, list(held), controls)
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


def _held(data: Path, wanted: tuple[str, ...], min_n: int) -> dict[str, tuple[str, ...]]:
    return hold_outs(load(data, with_response=False), wanted, min_n)


def _controls(name: str, settings: ExperimentSettings, manner: Manner) -> _Cells:
    """Return the experiments that ask what is left of a gain where there should be none.

    Does it survive when features are shuffled within domains? Then it is knowledge about domains, not about requests.
    Do two identical routers beat each other? Then the test is wrong.
    """
    free = replace(settings, budget_grid=0)
    plain = replace(manner, entrants={}, references=False)
    names = StrList([router for router in SHUFFLED if router in settings.routers])
    alone, both = replace(free, routers=StrList(["dacr"])), replace(plain, decisions="frontiers")
    return {
        f"{name} shuffled": (replace(free, routers=names), replace(plain, shuffled=True)),
        f"{name} once": (alone, replace(both, entrants={"dacr": manner.entrants["dacr"]})),
        f"{name} again": (
            alone,
            replace(both, entrants={"dacr": manner.entrants["dacr"]}, other_seeds=OTHER_SEEDS),
        ),
    }


def _tables(folders: Mapping[str, Path], held: list[str], controls: bool) -> dict[str, pd.DataFrame]:
    """Return every table of the study from the folders of its experiments."""
    mine = {name: folders[name] for name in held}
    tables = {
        "holdouts": with_verdicts(pd.concat([holdout_rows(name, path) for name, path in mine.items()])),
        "holdouts_pooled": pooled(list(mine.values())),
        "holdouts_budgets": pd.concat([budget_rows(name, path) for name, path in mine.items()], ignore_index=True),
    }
    if controls:
        rows = [
            control_rows(name, path, *(folders[f"{name} {what}"] for what in ("shuffled", "once", "again")))
            for name, path in mine.items()
        ]
        tables["controls"] = pd.concat(rows, ignore_index=True)
    return tables


def _command(config: Mapping[str, Any], data: Path) -> str:
    """Return the command that makes the tables again, without paths of this machine."""
    said = f"python scripts/study_holdouts.py --data {data.name} --orders {config['orders']}"
    said += f" --budgets {config['budgets']}"
    said += f" --hold_outs {','.join(config['hold_outs'])}" * bool(config["hold_outs"])
    said += f" --max_queries {config['max_queries']}" * bool(config["max_queries"])
    return said + " --controls true" * config["controls"] + " --nested true" * config["nested"]
