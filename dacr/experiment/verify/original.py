"""The original pickles: sums, row counts, means and the areas of cascade-routing, rows in file order, unmerged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.data import hub, pickles
from dacr.data.loaders.routerbench import RouterBenchRaw
from dacr.experiment.verify import benchmark
from dacr.experiment.verify.line import Line, number, same, skipped
from dacr.metrics.frontier import aiq
from dacr.types import Floats

AREAS = {
    "0-shot": (69.619211, 69.223137, 70.506406),
    "5-shot": (74.210281, 73.823577, 75.160194),
}
"""Published areas in percent for :data:`CHOSEN` models."""

CHOSEN: tuple[tuple[int, ...] | None, ...] = ((9, 4, 5), (0, 9, 4, 3, 5), None)
"""Positions in the file's order of model columns; None is all."""

AREA_SOURCE = "cascade-routing (arXiv 2410.10347), linear interpolation"
N_TWINS = 14
ONE_COPY = "one public copy"
MODELS, COSTS = ("model", "model_name"), ("cost", "total_cost")


def lines(path: Path, accept_sum: bool = False) -> list[Line]:
    """Check one original pickle: ``routerbench_0shot.pkl``, ``_5shot.pkl`` or ``_raw.pkl``.

    Parameters
    ----------
    accept_sum : bool
        A file whose sum differs from the recorded one is told, but is no mismatch: the record is one copy's.
    """
    path = files.existing_file(path)
    out = [_sum(path, accept_sum)]
    frame = pickles.load(path)
    models = [name for name in frame.columns if f"{name}|total_cost" in frame.columns]
    if models:
        return out + _wide(frame, models, path.name)
    if RouterBenchRaw.matches(set(frame.columns)) and "performance" in frame.columns:
        return out + _raw(frame, path.name)
    return [*out, skipped(path.name, "has neither RouterBench's wide columns nor its column 'performance'")]


def _sum(path: Path, accept_sum: bool) -> Line:
    what = f"{path.name}, SHA-256"
    known = hub.SHA256.get(path.name)
    if known is None:
        return skipped(what, "no sum is on record for a file of this name")
    got = files.sha256(path)
    if got == known:
        return Line(what, f"{known[:8]}...", f"{got[:8]}...", "ok", ONE_COPY)
    both = f"differs from what was recorded: {got} here, {known} in {ONE_COPY}"
    if accept_sum:
        return skipped(what, f"{both}; accepted by --accept_sum")
    return Line(what, f"{known[:8]}...", f"{got[:8]}...", "MISMATCH", f"{both}; to go on with it: --accept_sum")


def _wide(frame: pd.DataFrame, models: list[str], name: str) -> list[Line]:
    quality = frame[models].to_numpy(dtype=np.float64)
    cost = frame[[f"{model}|total_cost" for model in models]].to_numpy(dtype=np.float64)
    domain = frame["eval_name"].astype(str).to_numpy()
    out = benchmark.mbpp(models, domain, quality, cost, name)
    shots = next((shots for shots, n in benchmark.N_QUERY.items() if len(frame) == n), None)
    if shots is None:
        full = " or ".join(f"{n:,} ({shots})" for shots, n in benchmark.N_QUERY.items())
        return [*out, skipped(f"{name}, counts, means and areas", f"has {len(frame):,} rows, the whole file {full}")]
    out.append(same(f"{name}, rows", benchmark.N_QUERY[shots], len(frame), benchmark.COPIES))
    out.append(same(f"{name}, models", 11, len(models), benchmark.COPIES))
    if shots == "0-shot":
        out += benchmark.counts(domain, quality, name)
        if "oracle_model_to_route_to" in frame:
            marked = int((frame["oracle_model_to_route_to"] == "no_model_correct").sum())
            out.append(same(f"{name}, marked as solved by none", benchmark.N_UNSOLVED, marked, benchmark.COPIES))
        out += benchmark.means(models, quality, cost, name)
    else:
        twins = int(frame["sample_id"].duplicated().sum())
        out.append(same(f"{name}, ids on two half-empty rows", N_TWINS, twins, "several public copies of 5-shot"))
    if len(models) == 11:
        out += areas(quality, cost, shots, name)
    return out


def _raw(frame: pd.DataFrame, name: str) -> list[Line]:
    whole = same(f"{name}, rows of queries x models", benchmark.N_RAW, len(frame), benchmark.COPIES)
    model, cost = (next(c for c in names if c in frame.columns) for names in (MODELS, COSTS))
    mean = frame.groupby(model, sort=True)[["performance", cost]].mean()
    quality, price = mean.to_numpy(dtype=np.float64).T
    return [whole, *benchmark.means([str(m) for m in mean.index], quality[None], price[None], name)]


def areas(quality: Floats, cost: Floats, shots: str, name: str) -> list[Line]:
    """Check the three areas of one file, on cascade-routing's test part; what is missing counts as 0, as there."""
    rows = rows_tested(len(quality))
    mean_quality = np.nan_to_num(quality)[rows].mean(axis=0)
    mean_cost = np.nan_to_num(cost)[rows].mean(axis=0)
    out = []
    for chosen, wanted in zip(CHOSEN, AREAS[shots], strict=True):
        columns = list(chosen) if chosen else list(range(len(mean_cost)))
        got = 100 * aiq(mean_cost[columns], mean_quality[columns])
        out.append(number(f"{name}, area of {len(columns)} models (%)", wanted, got, AREA_SOURCE, 1e-4, ".6f"))
    return out


def rows_tested(n: int) -> np.ndarray:
    """Return cascade-routing's test part: scikit-learn's split of n rows with test_size .95 and random_state 42."""
    from sklearn.model_selection import train_test_split

    return np.asarray(train_test_split(np.arange(n), test_size=0.95, random_state=42)[1])
