"""The contract of a check, what it looks at, and running them all: a function from a context to what it finds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core import registry
from dacr.types import Floats, Ints


@dataclass(frozen=True)
class CalibratorUse:
    """A calibrator as it was fitted: its name, on what ("oof", "lodo" or "insample"), and its slopes by model."""

    name: str
    fitted_on: str
    slopes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What the checks look at. Every field is optional; what is absent makes checks not applicable.

    Attributes
    ----------
    metrics : DataFrame
        ``metrics.csv``, frontiers alone: policy, lambda_cost, setting, n, mean_quality, mean_cost, ... ; n_seed where
        known.
    single_cost, single_quality, single_late : (n_model,) float
        Test means of each model called for everything: USD per request, quality, and share of late answers.
    price_late : float
        Of a late answer, in quality: what the experiment takes off a router's quality.
    references : tuple of str
        Policies that are there to be beaten, exempt from the zero-router check.
    learners, clairvoyant : tuple of str
        Routers that learn; routers that are told the truth.
    latency_coverage : float in [0, 1]
        Share of the outcomes (queries x models) with a known latency.
    latency_treatment : str
        What the user asked to be done with missing latencies; empty where nothing was said.
    calibrators : sequence of CalibratorUse
    train_qid, test_qid, train_domain, test_domain, train_prompt, test_prompt : (n,) arrays
    ood : bool
        Whether whole domains are held out.
    budgets : DataFrame
        One row per run and budget: policy, setting, seed, n (requests), kind ("money" or "late answers"), allowed and
        had (mean USD per request, or a share); see :func:`dacr.metrics.budgets.budgets_of`.
    feature_distinct : DataFrame
        domain, n (distinct prompts), distinct (distinct feature rows); see :func:`distinct_features`.
    same_order : bool
        Whether all runs of a learner replay one order of arrival.
    nearest : (n_test,) float and (n_test,) int
        Similarity and row of the training question nearest to each test question, where they are known already;
        see :func:`dacr.estimates.features.near_duplicates.nearest_in_training`.
    quality : (n_test, n_model) float
        NaN where an outcome was never recorded.
    models : tuple of str
        Its columns.
    pricing : mapping
        What the table's manifest says of costs: see :meth:`dacr.data.prices.Pricing.summary`.
    min_queries, min_orders : int
        Below these a domain, or the number of stream orders, is called small.
    """

    metrics: pd.DataFrame | None = None
    single_cost: Floats | None = None
    single_quality: Floats | None = None
    single_late: Floats | None = None
    price_late: float = 0.0
    references: tuple[str, ...] = ("random", "cheapest", "strongest", "best_single", "zero")
    learners: tuple[str, ...] | None = None
    clairvoyant: tuple[str, ...] | None = None
    latency_coverage: float | None = None
    latency_treatment: str = ""
    calibrators: Sequence[CalibratorUse] | None = None
    train_qid: NDArray[np.object_] | None = None
    test_qid: NDArray[np.object_] | None = None
    train_domain: NDArray[np.object_] | None = None
    test_domain: NDArray[np.object_] | None = None
    train_prompt: NDArray[np.object_] | None = None
    test_prompt: NDArray[np.object_] | None = None
    ood: bool | None = None
    budgets: pd.DataFrame | None = None
    feature_distinct: pd.DataFrame | None = None
    nearest: tuple[Floats, Ints] | None = None
    same_order: bool | None = None
    quality: Floats | None = None
    models: tuple[str, ...] = ()
    pricing: Mapping[str, Any] | None = None
    min_queries: int = 100
    min_orders: int = 10


def distinct_features(x: NDArray[np.float32], prompt: NDArray[np.object_], domain: NDArray[np.object_]) -> pd.DataFrame:
    """Count distinct prompts and distinct feature rows per domain, for ``Context.feature_distinct``."""
    rows = np.ascontiguousarray(x).view(np.dtype((np.void, x.dtype.itemsize * x.shape[1])))[:, 0]
    rows_code = np.unique(rows, return_inverse=True)[1]
    frame = pd.DataFrame({"domain": domain, "prompt": prompt, "row": rows_code})
    grouped = frame.groupby("domain", sort=True).nunique()
    return pd.DataFrame({"domain": grouped.index, "n": grouped["prompt"].array, "distinct": grouped["row"].array})


Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""An error makes the numbers wrong; a warning makes them easy to misread; info is context."""

Found = Iterator[tuple[Severity, str, str]]
"""Findings: severity, what was found, what to do about it."""

PASSED, FOUND, ABSENT = "passed", "found", "not applicable"


@dataclass
class Check:
    """A registered check.

    Attributes
    ----------
    title : str
        What holds when it passes.
    needs : tuple of str
        The fields of the context without which it can't be made.
    function : callable
    name : str
        Its code, such as "DACR001"; stable over versions.
    """

    title: str
    needs: tuple[str, ...]
    function: Callable[[Context], Found]
    name: str = ""

    def __post_init__(self) -> None:
        self.__doc__, self.__module__ = self.title, self.function.__module__
        self.__qualname__ = self.function.__qualname__


def check(code: str, title: str, *needs: str) -> Callable[[Callable[[Context], Found]], Callable[[Context], Found]]:
    """Return a decorator that registers a function yielding (severity, message, fix) under a code."""

    def decorate(function: Callable[[Context], Found]) -> Callable[[Context], Found]:
        registry.checks.register(code)(Check(title, needs, function))
        return function

    return decorate


def run(context: Context) -> pd.DataFrame:
    """Run every check, in order of code.

    Returns
    -------
    DataFrame
        One row per finding, and one per check without: code, title, status (passed, found or not applicable),
        severity, message (the reason where it is not applicable), fix.
    """
    rows = []
    for code, one in registry.checks.items():
        absent = [name for name in one.needs if getattr(context, name) is None]
        found = [] if absent else list(one.function(context))
        reason = f"the run gives no {', '.join(absent)}" if absent else ""
        status = ABSENT if absent else FOUND if found else PASSED
        rows += [(code, one.title, status, *parts) for parts in found or [("", reason, "")]]
    return pd.DataFrame(rows, columns=["code", "title", "status", "severity", "message", "fix"])


def findings(checked: pd.DataFrame) -> pd.DataFrame:
    """Return the findings alone, errors first."""
    found = checked[checked["status"] == FOUND]
    return found.sort_values("severity", key=lambda column: column.map(SEVERITIES.index), kind="stable")


def to_text(checked: pd.DataFrame) -> str:
    """Return what a terminal shows: findings with their fixes, then counts and what could not be checked."""
    lines = [f"{f.code} {f.severity}: {f.message}\n    fix: {f.fix}" for f in findings(checked).itertuples()]
    count = checked.drop_duplicates("code")["status"].value_counts()
    lines.append(f"checks: {count.get(PASSED, 0)} passed, {count.get(FOUND, 0)} with findings, "
                 f"{count.get(ABSENT, 0)} not applicable")  # fmt: skip
    absent = checked[checked["status"] == ABSENT]
    lines += [f"    {row.code} {row.title}: not applicable, {row.message}" for row in absent.itertuples()]
    return "\n".join(lines)


def some(names: Sequence[object], n: int = 5) -> str:
    """Name the first few, and count the rest."""
    return ", ".join(map(str, names[:n])) + (f" and {len(names) - n} more" if len(names) > n else "")
