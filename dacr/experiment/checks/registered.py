"""The contract of a check, and running them all: a check is a function from a context to what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dacr.core import registry
from dacr.experiment.checks.context import Context

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
