"""From cells to tables: a results folder for every experiment, and the tables of the whole sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core.manifest import to_metadata
from dacr.experiment.frontier_table import AREAS, Collected, read_replicates, with_intervals, write_replicates
from dacr.experiment.summary import summary_table
from dacr.experiment.sweep.cell import ELSEWHERE, FILES
from dacr.experiment.sweep.folder import CELLS
from dacr.experiment.sweep.grid import Group, SweepPlan
from dacr.experiment.writer import replace_results, write_csv
from dacr.metrics.budgets import headlines
from dacr.report.folder import read_csv

EXPERIMENTS = "experiments"
TOGETHER = ("metrics", "metrics_by_seed", "metrics_by_domain", "budgets", "singles", "frontier", "checks", "across")
"""Tables of the experiments that are also written for the whole sweep."""

_ALIKE = ("singles", "calibration_ece", "reliability", "references", "checks")
"""Tables whose rows are of the split, whole or in part: cells of one split have them in common."""


def gather(results_dir: Path, plan: SweepPlan, done: set[str]) -> list[Path]:
    """Write the tables of every experiment and of the whole sweep from the cells that are finished.

    Returns
    -------
    list of Path
        The experiments' folders whose decisions are kept.
    """
    together: dict[str, list[pd.DataFrame]] = {name: [] for name in TOGETHER}
    with_decisions = []
    for group in plan.groups:
        cells = [results_dir / CELLS / name for name in group.cells if name in done]
        if not cells:
            continue
        tables, replicates = joined(cells)
        target = results_dir / EXPERIMENTS / group.grid / group.label
        write_experiment(target, group, tables, replicates, cells)
        if group.decisions:
            with_decisions.append(target)
        tables["across"] = summary_of(tables["metrics_by_seed"], tables["frontier"])
        for name, frames in together.items():
            if name in tables:
                frames.append(_with_axes(tables[name], group))
    for name, frames in together.items():
        _write_or_remove(results_dir, name, frames)
    _write_or_remove(results_dir, "cells", [cells_table(plan, done)])
    return with_decisions


def joined(cells: Sequence[Path]) -> tuple[dict[str, pd.DataFrame], Collected]:
    """Return the tables of an experiment whose routers are spread over cells, and all replicates.

    Rows stand below each other; what cells of one split have in common stands once. Paired differences between
    frontiers are made again, over the routers of all cells.
    """
    stems = dict.fromkeys(path.stem for cell in cells for path in sorted(cell.glob("*.csv")))
    tables = {}
    for stem in stems:
        frames = [read_csv(cell / f"{stem}.csv") for cell in cells if (cell / f"{stem}.csv").is_file()]
        frames = [frame for frame in frames if len(frame)]
        if not frames or stem == "stages":
            continue
        frame = pd.concat(frames, ignore_index=True)
        if stem in _ALIKE:
            frame = frame.drop_duplicates(ignore_index=True)
        tables[stem] = _one_verdict(frame) if stem == "checks" else frame
    replicates: Collected = {}
    for cell in cells:
        for measure, own in read_replicates(cell / "replicates.parquet").items():
            replicates.setdefault(measure, {}).update(own)
    if len(cells) > 1:
        made = tables["frontier"]
        compared = [name for name in made if name == "reference" or name.startswith(_COMPARED)]
        tables["frontier"] = with_intervals(made.drop(columns=compared), replicates)[list(made)]
    return tables | {"summary": summary_table(tables)}, replicates


def _one_verdict(checks: pd.DataFrame) -> pd.DataFrame:
    """Leave out that a check passed, or did not apply, in one cell where it found something in another."""
    found = checks["status"] == "found"
    elsewhere = checks["code"].isin(checks.loc[found, "code"])
    passed = checks["status"] == "passed"
    applied = checks["code"].isin(checks.loc[passed, "code"])
    kept = checks[found | (~elsewhere & (passed | ~applied))]
    return kept.sort_values("code", kind="stable", ignore_index=True)


_COMPARED = tuple(f"{area}_{what}" for area in AREAS for what in ("low", "high", "difference", "p_holm", "verdict"))


def write_experiment(
    target: Path, group: Group, tables: dict[str, pd.DataFrame], replicates: Collected, cells: Sequence[Path]
) -> None:
    """Write a results folder that figures and report can read; its figures are removed, as those of old numbers."""
    about = {
        "stage": "sweep",
        "grid": group.grid,
        "experiment": group.label,
        "config": {k: v for k, v in _plain(group.settings.as_dict()).items() if k not in (*FILES, *ELSEWHERE)},
        "cells": [cell.name for cell in cells],
    }
    with replace_results(target) as folder:
        for stem, frame in tables.items():
            write_csv(folder, f"{stem}.csv", frame)
        write_replicates(folder / "replicates.parquet", replicates, list(group.settings.routers))
        if group.decisions:
            _join_decisions([cell / "decisions.parquet" for cell in cells], folder / "decisions.parquet", about)
        files.write_json(folder / "manifest.json", {**about, "files": sorted(path.name for path in folder.iterdir())})


def cells_table(plan: SweepPlan, done: set[str]) -> pd.DataFrame:
    """Return one row per cell: what it is and whether it is finished."""
    rows = []
    for name, cell in plan.cells.items():
        s = cell.settings
        rows.append(
            {
                "cell": name,
                "routers": ",".join(s.routers),
                "ood_holdout": ",".join(s.ood_holdout),
                "protocol": s.protocol,
                "seeds": ",".join(map(str, s.seeds)),
                "predictor": s.predictor,
                "calibrator": s.calibrator,
                "finished": name in done,
            }
        )
    return pd.DataFrame(rows)


def _with_axes(frame: pd.DataFrame, group: Group) -> pd.DataFrame:
    axes = {
        "grid": group.grid,
        "experiment": group.label,
        **{f"axis_{key}": value for key, value in group.axes.items()},
    }
    return pd.concat([pd.DataFrame(axes, index=frame.index), frame], axis=1)


def _join_decisions(sources: Sequence[Path], target: Path, about: dict[str, Any]) -> None:
    """Copy decisions of cells into one file, row group by row group."""
    writer: pq.ParquetWriter | None = None
    try:
        for source in sources:
            with pq.ParquetFile(source) as file:
                for k in range(file.num_row_groups):
                    table = file.read_row_group(k)
                    if writer is None:
                        schema = table.schema.with_metadata(to_metadata(about))
                        writer = pq.ParquetWriter(target, schema, compression="zstd", compression_level=1)
                    writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _write_or_remove(folder: Path, name: str, frames: Sequence[pd.DataFrame]) -> None:
    if not frames:
        (folder / f"{name}.csv").unlink(missing_ok=True)
        return
    with files.atomic_path(folder / f"{name}.csv") as temporary:
        write_csv(temporary.parent, temporary.name, pd.concat(frames, ignore_index=True))


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else str(v) if isinstance(v, Path) else v for key, v in config.items()}


def summary_of(by_seed: pd.DataFrame, frontier: pd.DataFrame) -> pd.DataFrame:
    """Return one row per router of one experiment.

    Parameters
    ----------
    by_seed : DataFrame
        ``metrics_by_seed.csv``.
    frontier : DataFrame
        ``frontier.csv``: areas of mean points, and of every run.

    Returns
    -------
    DataFrame
        ``policy``, ``n_seed``; ``area`` and ``net_area`` (hull area of the frontier's mean points, in quality; less
        priced lateness), ``budget_quality`` (mean over enforced budgets of money), each with ``_sd`` between runs;
        ``worst_used`` (largest share of such a budget that any run spent). NaN where there is nothing.
    """
    mean = frontier["seed"].astype(str) == "mean"
    areas = ["area", "net_area"]
    runs = headlines(by_seed).groupby("policy")
    made = by_seed.groupby("policy", sort=False)["seed"].nunique().to_frame("n_seed")
    made[areas] = frontier[mean].set_index("policy")[areas]
    made[["area_sd", "net_area_sd"]] = frontier[~mean].groupby("policy")[areas].std()
    made["budget_quality"], made["budget_quality_sd"] = runs["mean_quality"].mean(), runs["mean_quality"].std()
    made["worst_used"] = runs["worst_ratio"].max()
    order = ["n_seed", *(f"{name}{end}" for name in (*areas, "budget_quality") for end in ("", "_sd")), "worst_used"]
    return made[order].reset_index()
