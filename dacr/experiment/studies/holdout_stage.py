"""Leave one domain out, in turn: does a router's gain hold where training saw nothing like it?

For each hold-out all routers play the same stream orders, along a grid of prices and under a grid of budgets
that are enforced. Latency plays no part (its price is 0): the question is quality for money.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.splits import family_of_each, hold_out, large_families, sizes
from dacr.data.table import RoutingTable, load
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.choice import choose_settings, in_words
from dacr.experiment.studies.controls import controls_of
from dacr.experiment.studies.holdout import HoldOut, measure
from dacr.experiment.studies.holdout_play import play_routers, setup_of
from dacr.experiment.studies.holdout_tables import study_text, write_section
from dacr.experiment.writer import replace_results, write_csv
from dacr.metrics.intervals import Replicates
from dacr.metrics.paired import TIE, holm, to_reference, verdicts

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
REFERENCE = "dacr"
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
    n_jobs: int = 2,
) -> None:
    """Hold out each family of domains in turn and compare routers there, by area and under enforced budgets.

    Parameters
    ----------
    data
        Long table from scripts/prepare_routerbench.py.
    hold_outs
        Families of domains, one hold-out each: "mbpp,arc-challenge"; by default all with enough queries.
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
        Also shuffle features within domains, play dacr against itself, and measure predictors' within-domain AUC.
    nested
        Choose routers' tunable arguments by leaving each training family out in turn, for each hold-out anew.
    out_dir
        Folder for holdouts.csv, holdouts_pooled.csv, holdouts_budgets.csv (each router under each budget), choices.csv
        (with --nested), controls.csv and holdouts.md.
    document
        Markdown file in which the section called like the title is replaced or added.
    title
        Of that section; the name of the data file by default.
    n_jobs
        Worker processes.
    """
    config = {name: value for name, value in locals().items() if name not in ("out_dir", "document", "n_jobs")}
    if REFERENCE not in routers:
        raise UserError(f"--routers {','.join(routers)}: all are compared with {REFERENCE}; add it")
    table = load(data)
    families = chosen_families(table, tuple(hold_outs), min_n)
    rows, parts, controlled = [], [], []
    choices: list[tuple[str, str, str]] = []
    for seed, family in enumerate(families):
        settings = ExperimentSettings(
            data=data,
            ood_holdout=StrList(hold_out(family, family_of_each(table.domain, table.family))),
            lambdas=FloatList(LAMBDAS),
            lambda_lat=0.0,
            dacr_lambda_lat=0.0,
            budget_grid=budgets,
            orders=orders,
            seeds=IntList(range(1, orders + 1)),
            predictor=predictor,
            calibrator=calibrator,
            n_jobs=n_jobs,
        )
        setup = setup_of(settings, table, max_queries)
        chosen = choose_settings(list(routers), settings, table, family, min_n, n_jobs) if nested else {}
        choices += [(family, name, in_words(own)) for name, own in chosen.items() if own]
        ran = play_routers(list(routers), setup, n_jobs, chosen=chosen)
        part = measure(family, ran, setup, seed)
        rows += part.rows
        parts.append(part)
        if controls:
            controlled += controls_of(family, settings, setup, ran, table, max_queries, seed)
    frame = with_verdicts(pd.DataFrame(rows))
    pooled_frame = pooled(parts)
    control_frame = pd.DataFrame(controlled)
    command = f"python scripts/study_holdouts.py --data {data.name} --orders {orders} --budgets {budgets}"
    command += f" --hold_outs {','.join(hold_outs)}" * bool(hold_outs)
    command += f" --max_queries {max_queries}" * bool(max_queries) + " --controls true" * controls
    command += " --nested true" * nested
    text = study_text(frame, pooled_frame, control_frame, command, choices)
    with replace_results(out_dir, WRITTEN) as folder:
        write_csv(folder, "holdouts.csv", frame)
        write_csv(folder, "holdouts_pooled.csv", pooled_frame)
        write_csv(folder, "holdouts_budgets.csv", pd.DataFrame([row for part in parts for row in part.budgets]))
        if choices:
            write_csv(folder, "choices.csv", pd.DataFrame(choices, columns=["hold_out", "router", "chosen"]))
        if controls:
            write_csv(folder, "controls.csv", control_frame)
        files.write_text(folder / "holdouts.md", f"# Hold-outs of {data.name}\n\n{text}")
        about = manifest.build("study_holdouts", config, {"data": data}, hold_outs=families)
        about["files"] = sorted(path.name for path in folder.iterdir())
        files.write_json(folder / "manifest.json", about)
    if document is not None:
        write_section(document, title or data.stem, text)
    print(text)


def chosen_families(table: RoutingTable, wanted: Sequence[str], min_n: int) -> list[str]:
    """Return the families to hold out: those wanted, or all with ``min_n`` queries, the largest first."""
    known = sizes(table.family)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UserError(f"--hold_outs {unknown[0]!r} is no family of domains; known: {', '.join(known)}")
    large = large_families(known, 0 if wanted else min_n, "--min_n")
    return list(wanted) or large


def pooled(parts: Sequence[HoldOut]) -> pd.DataFrame:
    """Compare every router with the reference over all hold-outs, each with the same weight; Holm per measure."""
    frames = []
    for measure_name in ("area", "budget"):
        having = [part for part in parts if measure_name in part.replicates]
        if not having:
            continue
        names = having[0].replicates[measure_name][0]
        made = [part.replicates[measure_name][1] for part in having]
        mean = Replicates(
            np.mean([one.estimate for one in made], axis=0),
            np.mean([one.draws for one in made], axis=0),
            made[0].method,
        )
        frame = to_reference(names, mean, names.index(REFERENCE))
        frame.insert(0, "measure", measure_name)
        frame.insert(1, "n_hold_out", len(having))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def with_verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Add Holm-adjusted p-values and verdicts of each measure, over hold-outs x routers together."""
    frame = frame.copy()
    for name in ("area", "budget"):
        p = frame[f"{name}_p"].to_numpy(dtype=float)
        other = (frame["router"] != REFERENCE).to_numpy()
        adjusted = np.full(len(p), np.nan)
        adjusted[other] = holm(p[other])
        frame[f"{name}_p_holm"] = adjusted
        frame[f"{name}_verdict"] = verdicts(frame[f"{name}_minus_dacr"].to_numpy(dtype=float), adjusted, True, 0.05)
        frame.loc[~other, f"{name}_verdict"] = TIE
    return frame
