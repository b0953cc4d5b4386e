"""RouterBench's published numbers, checked on outcomes as dense arrays and on the original pickles.

Of the pickles: sums, row counts, means and the areas of cascade-routing, rows in file order, unmerged.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.data import hub, pickles
from dacr.data.loaders.routerbench import RouterBenchRaw
from dacr.data.sample import facts
from dacr.experiment.verify.line import Line, number, same, skipped
from dacr.metrics.frontier import aiq
from dacr.types import Floats

COPIES = "several public copies of RouterBench 0-shot"
N_QUERY = {"0-shot": 36_497, "5-shot": 36_511}
N_RAW = 401_467
MBPP_ORACLE = (0.8665, 4.829e-4)
FAMILIES = {
    "mmlu": 14_042,
    "hellaswag": 10_042,
    "grade-school-math": 7_450,
    "arc-challenge": 1_470,
    "winogrande": 1_267,
    "mbpp": 427,
    "mtbench": 80,
    "chinese": 785,
    "other": 934,
}
N_EVAL_NAME, N_MMLU, N_UNSOLVED = 86, 57, 1_308


def mbpp(models: Sequence[str], domain: Sequence[str], quality: Floats, cost: Floats, label: str) -> list[Line]:
    """Check mean quality and cost of every model, and of the oracle, on MBPP: all 427 rows, 0-shot or 5-shot.

    Parameters
    ----------
    quality, cost : (n_query, n_model) float
    label : str
        What the rows are called in the table.
    """
    name = f"{label}, MBPP"
    rows = np.flatnonzero(np.asarray(domain) == "mbpp")
    if len(rows) != FAMILIES["mbpp"]:
        return [skipped(name, f"has {len(rows)} MBPP rows, the published table is of {FAMILIES['mbpp']}")]
    q, c = quality[rows], cost[rows]
    if np.isnan(q).any() or set(models) != set(facts.MODELS):
        return [skipped(name, "has other models than the published table, or gaps")]
    lines = []
    for j, model in enumerate(models):
        k = facts.MODELS.index(model)
        lines.append(_quality(f"{name}, {model}: quality", facts.MBPP_QUALITY[k], q[:, j]))
        lines.append(_cost(f"{name}, {model}: cost", facts.MBPP_COST[k], c[:, j]))
    best = q.max(axis=1, keepdims=True)
    cheapest = np.where(q == best, c, np.inf).min(axis=1)
    lines.append(_quality(f"{name}, oracle: quality", MBPP_ORACLE[0], best[:, 0]))
    lines.append(_cost(f"{name}, oracle: cost", MBPP_ORACLE[1], cheapest))
    return lines


def _quality(what: str, expected: float, values: Floats) -> Line:
    return number(what, float(expected), float(values.mean()), MBPP_SOURCE, 5.1e-5, ".4f")


def _cost(what: str, expected: float, values: Floats) -> Line:
    return number(what, float(expected), float(values.mean()), MBPP_SOURCE, 1.1e-4 * expected, ".4e")


MBPP_SOURCE = "RouterBench (arXiv 2403.12031), table of MBPP"


def means(models: Sequence[str], quality: Floats, cost: Floats, label: str) -> list[Line]:
    """Check every model's mean over all 0-shot rows."""
    lines = []
    for j, model in enumerate(models):
        if model not in facts.MODELS:
            lines.append(skipped(f"{label}, {model}", "no published mean for this model"))
            continue
        k = facts.MODELS.index(model)
        wanted, price = float(facts.MEAN_QUALITY[k]), float(facts.MEAN_COST[k])
        q, c = float(quality[:, j].mean()), float(cost[:, j].mean())
        lines.append(number(f"{label}, {model}: quality", wanted, q, COPIES, 5.1e-5, ".4f"))
        lines.append(number(f"{label}, {model}: cost", price, c, COPIES, 5.1e-7, ".6f"))
    return lines


def counts(domain: Sequence[str], quality: Floats, label: str) -> list[Line]:
    """Check how many queries each family has, and how many no model solves, of all 0-shot rows."""
    names = pd.Series(np.asarray(domain, dtype=object)).astype(str)
    family = names.map({name: family_of(name) for name in names.unique()}).value_counts()
    lines = [
        same(f"{label}, evaluations", N_EVAL_NAME, int(names.nunique()), COPIES),
        same(f"{label}, MMLU subjects", N_MMLU, int(names[names.str.startswith("mmlu")].nunique()), COPIES),
    ]
    lines += [same(f"{label}, queries of {name}", n, int(family.get(name, 0)), COPIES) for name, n in FAMILIES.items()]
    lines.append(
        same(f"{label}, queries that no model solves", N_UNSOLVED, int((quality <= 0).all(axis=1).sum()), COPIES)
    )
    return lines


def family_of(name: str) -> str:
    """Return the family in which the published counts put an evaluation."""
    lower = name.lower()
    return next((family for family in FAMILIES if lower.startswith(family)), "other")


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
    out = mbpp(models, domain, quality, cost, name)
    shots = next((shots for shots, n in N_QUERY.items() if len(frame) == n), None)
    if shots is None:
        full = " or ".join(f"{n:,} ({shots})" for shots, n in N_QUERY.items())
        return [*out, skipped(f"{name}, counts, means and areas", f"has {len(frame):,} rows, the whole file {full}")]
    out.append(same(f"{name}, rows", N_QUERY[shots], len(frame), COPIES))
    out.append(same(f"{name}, models", 11, len(models), COPIES))
    if shots == "0-shot":
        out += counts(domain, quality, name)
        if "oracle_model_to_route_to" in frame:
            marked = int((frame["oracle_model_to_route_to"] == "no_model_correct").sum())
            out.append(same(f"{name}, marked as solved by none", N_UNSOLVED, marked, COPIES))
        out += means(models, quality, cost, name)
    else:
        twins = int(frame["sample_id"].duplicated().sum())
        out.append(same(f"{name}, ids on two half-empty rows", N_TWINS, twins, "several public copies of 5-shot"))
    if len(models) == 11:
        out += areas(quality, cost, shots, name)
    return out


def _raw(frame: pd.DataFrame, name: str) -> list[Line]:
    whole = same(f"{name}, rows of queries x models", N_RAW, len(frame), COPIES)
    model, cost = (next(c for c in names if c in frame.columns) for names in (MODELS, COSTS))
    mean = frame.groupby(model, sort=True)[["performance", cost]].mean()
    quality, price = mean.to_numpy(dtype=np.float64).T
    return [whole, *means([str(m) for m in mean.index], quality[None], price[None], name)]


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
