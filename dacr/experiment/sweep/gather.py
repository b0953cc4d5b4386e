"""From parts to tables: a results folder for every experiment, and the tables of the whole sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core.manifest import to_metadata
from dacr.experiment.calibration.beliefs import joined
from dacr.experiment.run import in_order, mark
from dacr.experiment.sweep.cell import ELSEWHERE, FILES, PLAY
from dacr.experiment.sweep.grid import Group, Plan
from dacr.experiment.sweep.parts import read_part
from dacr.experiment.sweep.work import decisions_path, part_path
from dacr.experiment.writer import replace_results, summarised, write_csv
from dacr.report.across import summary_of

EXPERIMENTS = "experiments"
TOGETHER = ("metrics", "metrics_by_seed", "metrics_by_domain", "budgets", "singles", "across")
"""Tables of the experiments that are also written for the whole sweep."""

_POINT = ["policy", "lambda_cost", "setting"]


def gather(results_dir: Path, plan: Plan, done: set[str]) -> list[Path]:
    """Write the tables of every experiment and of the whole sweep from the cells that are finished.

    Returns
    -------
    list of Path
        The experiments' folders whose decisions are kept.
    """
    together: dict[str, list[pd.DataFrame]] = {name: [] for name in TOGETHER}
    with_decisions = []
    for group in plan.groups:
        tables = tables_of(results_dir, group, done)
        if not tables:
            continue
        target = results_dir / EXPERIMENTS / group.grid / group.label
        write_experiment(target, group, tables, [name for name in group.cells if name in done], results_dir)
        if group.decisions:
            with_decisions.append(target)
        for name, frames in together.items():
            if name in tables:
                frames.append(_with_axes(tables[name], group))
    for name, frames in together.items():
        _write_or_remove(results_dir, name, frames)
    _write_or_remove(results_dir, "cells", [cells_table(plan, done)])
    return with_decisions


def tables_of(results_dir: Path, group: Group, done: set[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of one experiment, as ``run_experiment`` writes them; empty where no cell is finished."""
    names = [name for name in group.cells if name in done]
    if not names:
        return {}
    parts = [read_part(part_path(results_dir, name))[1] for name in names]
    policies = list(group.settings.routers)
    runs, domains = (pd.concat([part[name] for part in parts], ignore_index=True) for name in ("runs", "domains"))
    metrics, by_seed, by_domain = (
        mark(in_order(frame, policies), group.settings) for frame in summarised(runs, domains)
    )
    tables = {"metrics": metrics, "metrics_by_seed": by_seed, "metrics_by_domain": by_domain}
    for name in ("budgets", "duals", "regret", "perfect_information"):
        frames = [part[name] for part in parts if name in part]
        if frames:
            tables[name] = _joined(frames) if name == "budgets" else _mean_of_cells(frames)
    if group.references in done:
        _, references = read_part(part_path(results_dir, group.references))
        tables["singles"] = references["singles"]
        tables["across"] = summary_of(by_seed, references["singles"], group.settings.lambda_lat)
        for name, offline, online in (
            ("calibration_ece", "calibration", "online"),
            ("reliability", "reliability", "online_bins"),
        ):
            frames = [part[online] for part in parts if online in part]
            tables[name] = joined(references[offline], [_mean_of_cells(frames)] if frames else [])
    return tables


def write_experiment(
    target: Path, group: Group, tables: dict[str, pd.DataFrame], names: Sequence[str], results_dir: Path
) -> None:
    """Write a results folder that figures and report can read; its figures are removed, as those of old numbers."""
    about = {
        "stage": "sweep",
        "grid": group.grid,
        "experiment": group.label,
        "config": {k: v for k, v in _plain(group.settings.as_dict()).items() if k not in (*FILES, *ELSEWHERE)},
        "cells": list(names),
    }
    with replace_results(target) as folder:
        for stem, frame in tables.items():
            if stem != "across":
                write_csv(folder, f"{stem}.csv", frame)
        if group.decisions:
            _join_decisions([decisions_path(results_dir, name) for name in names], folder / "decisions.parquet", about)
        files.write_json(folder / "manifest.json", {**about, "files": sorted(path.name for path in folder.iterdir())})


def cells_table(plan: Plan, done: set[str]) -> pd.DataFrame:
    """Return one row per cell: what it is and whether it is finished."""
    rows = []
    for name, cell in plan.cells.items():
        s = cell.settings
        rows.append(
            {
                "cell": name,
                "router": s.routers[0] if cell.kind == PLAY else "",
                "ood_holdout": ",".join(s.ood_holdout),
                "protocol": s.protocol if cell.kind == PLAY else "",
                "seeds": ",".join(map(str, s.seeds)) if cell.kind == PLAY else "",
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


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def _mean_of_cells(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables that are means over a cell's runs; where runs are spread over cells, the mean of the cells.

    Counts of pairs (``n``) are summed; an interval of a cell's runs is none of all runs, and is left out then.
    """
    together = _joined(frames)
    keys = [name for name in together.columns if name in _KEYS]
    if not together.duplicated(keys).any():
        return together
    grouped = together.groupby(keys, sort=False, dropna=False, observed=True)
    out = grouped.mean(numeric_only=True).reset_index()
    if "stage" in out.columns:
        out["n"] = grouped["n"].sum().to_numpy()
    for name in [name for name in out.columns if name in ("lo", "hi") or name.endswith(("_low", "_high"))]:
        out.loc[(grouped.size() > 1).to_numpy(), name] = float("nan")
    return out[[name for name in together.columns if name in out.columns]]


_KEYS = (*_POINT, "reference", "t", "budget_cost", "budget_late", "model", "calibrator", "domain", "stage", "bin")


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
        write_csv(temporary.parent, temporary.name, _joined(frames))


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else str(v) if isinstance(v, Path) else v for key, v in config.items()}
