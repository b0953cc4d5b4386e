"""One line of the verdict: what was expected, what was got, and where the expectation comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "MISMATCH", "skipped"]
HAND = "worked by hand"


@dataclass(frozen=True)
class Line:
    """A comparison, or the reason why there is none.

    Attributes
    ----------
    what : str
    expected, got : str
        As they are printed; for a skip, ``got`` is the reason.
    verdict : "ok", "MISMATCH" or "skipped"
    source : str
        Who says so.
    """

    what: str
    expected: str
    got: str
    verdict: Verdict
    source: str


def number(what: str, expected: float, got: float, source: str, tolerance: float = 1e-12, form: str = ".6g") -> Line:
    """Compare two numbers; NaN never agrees."""
    ok = abs(got - expected) <= tolerance
    if not ok and format(expected, form) == format(got, form):
        form = ".15g"
    return Line(what, format(expected, form), format(got, form), "ok" if ok else "MISMATCH", source)


def same(what: str, expected: object, got: object, source: str) -> Line:
    """Compare two values for equality."""
    return Line(what, str(expected), str(got), "ok" if expected == got else "MISMATCH", source)


def skipped(what: str, reason: str, source: str = "") -> Line:
    """Say that something was not checked, and why."""
    return Line(what, "", reason, "skipped", source)


def table(lines: Sequence[Line]) -> str:
    """Return the lines as an aligned text table. Reasons of skips and sources are not cut."""
    head = Line("what", "expected", "got", "ok", "source")
    checked = [line for line in lines if line.verdict != "skipped"]
    w = [max(len(getattr(line, name)) for line in (head, *checked)) for name in ("what", "expected", "got")]
    out = [f"{'verdict':8}  {head.what:{w[0]}}  {head.expected:>{w[1]}}  {head.got:>{w[2]}}  {head.source}"]
    for line in lines:
        if line.verdict == "skipped":
            out.append(f"{line.verdict:8}  {line.what}: {line.got}")
        else:
            out.append(
                f"{line.verdict:8}  {line.what:{w[0]}}  {line.expected:>{w[1]}}  {line.got:>{w[2]}}  {line.source}"
            )
    return "\n".join(row.rstrip() for row in out)


def summary(lines: Sequence[Line]) -> str:
    """Count the verdicts in one sentence."""
    count = {v: sum(line.verdict == v for line in lines) for v in ("ok", "MISMATCH", "skipped")}
    return f"{count['ok']} ok, {count['MISMATCH']} mismatches, {count['skipped']} skipped (not checked)"
