"""RouterBench's published numbers, checked on outcomes as dense arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dacr.data.sample import facts
from dacr.experiment.verify.line import Line, number, same, skipped
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
