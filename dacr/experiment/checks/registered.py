"""Registered checks, and running them all: a check is a function from a context to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dacr.core.errors import UserError
from dacr.experiment.checks.context import Context

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that a reader must know.

    Attributes
    ----------
    code : str
        Such as "DACR001"; stable over versions.
    severity : "error", "warning" or "info"
        An error makes the numbers wrong; a warning makes them easy to misread; info is context.
    message, fix : str
        What was found, and what to do about it.
    """

    code: str
    severity: Severity
    message: str
    fix: str


@dataclass(frozen=True)
class Result:
    """What one check came to.

    Attributes
    ----------
    status : "passed", "found" or "not applicable"
    reason : str
        Why it is not applicable; else empty.
    """

    code: str
    title: str
    status: Literal["passed", "found", "not applicable"]
    reason: str
    findings: tuple[Finding, ...] = ()


Found = Iterator[tuple[Severity, str, str]]


@dataclass(frozen=True)
class Check:
    """A registered check: its code, its title, the fields of the context that it needs, and the function."""

    code: str
    title: str
    needs: tuple[str, ...]
    function: Callable[[Context], Found]


CHECKS: dict[str, Check] = {}


def check(code: str, title: str, *needs: str) -> Callable[[Callable[[Context], Found]], Callable[[Context], Found]]:
    """Return a decorator that registers a function yielding (severity, message, fix) under a code."""

    def decorate(function: Callable[[Context], Found]) -> Callable[[Context], Found]:
        if code in CHECKS:
            raise UserError(f"check {code} is registered twice: {CHECKS[code].title!r} and {title!r}")
        CHECKS[code] = Check(code, title, needs, function)
        return function

    return decorate


def run(context: Context) -> list[Result]:
    """Run every check, in order of code."""
    results = []
    for code, one in sorted(CHECKS.items()):
        absent = [name for name in one.needs if getattr(context, name) is None]
        if absent:
            reason = f"the run gives no {', '.join(absent)}"
            results.append(Result(code, one.title, "not applicable", reason))
            continue
        found = tuple(Finding(code, *parts) for parts in one.function(context))
        results.append(Result(code, one.title, "found" if found else "passed", "", found))
    return results


def findings(results: Sequence[Result]) -> list[Finding]:
    """Return all findings, errors first."""
    rank = {"error": 0, "warning": 1, "info": 2}
    return sorted((f for result in results for f in result.findings), key=lambda f: (rank[f.severity], f.code))


def to_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per finding, and one per check without: code, title, status, severity, message, fix."""
    rows = []
    for result in results:
        head = {"code": result.code, "title": result.title, "status": result.status}
        rows += [{**head, "severity": f.severity, "message": f.message, "fix": f.fix} for f in result.findings]
        if not result.findings:
            rows.append({**head, "severity": "", "message": result.reason, "fix": ""})
    return pd.DataFrame(rows)


def to_text(results: Sequence[Result]) -> str:
    """Return what a terminal shows: findings with their fixes, then counts and what could not be checked."""
    lines = [f"{f.code} {f.severity}: {f.message}\n    fix: {f.fix}" for f in findings(results)]
    count = {status: sum(r.status == status for r in results) for status in ("passed", "found", "not applicable")}
    lines.append(
        f"checks: {count['passed']} passed, {count['found']} with findings, {count['not applicable']} not applicable"
    )
    lines += [f"    {r.code} {r.title}: not applicable, {r.reason}" for r in results if r.status == "not applicable"]
    return "\n".join(lines)


def some(names: Sequence[object], n: int = 5) -> str:
    """Name the first few, and count the rest."""
    return ", ".join(map(str, names[:n])) + (f" and {len(names) - n} more" if len(names) > n else "")
