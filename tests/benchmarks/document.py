"""The tables as Markdown, written into a document between two markers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from tests.benchmarks.exponents import totals

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"


def stage_table(stages: pd.DataFrame, fitted: pd.DataFrame) -> str:
    """Return processor seconds by stage and size, and the exponents of time and memory."""
    both = pd.concat([stages, totals(stages)], ignore_index=True)
    sizes = sorted(both["n_query"].unique())
    seconds = both.pivot_table("processor_s", "stage", "n_query", aggfunc="min", sort=False)
    fits = {(row.stage, row.quantity): row for row in fitted.itertuples()}
    lines = ["| stage | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent, time | exponent, memory |"]
    lines.append("|---|" + "---:|" * (len(sizes) + 2))
    for stage in both["stage"].unique():
        cells = [_number(float(seconds.loc[stage, size])) for size in sizes]
        lines.append(
            f"| {stage} | " + " | ".join(cells)
            + f" | {_fit(fits[stage, 'processor_s'])} | {_fit(fits[stage, 'memory_mib'])} |"
        )  # fmt: skip
    whole = totals(stages)
    lines.append("| peak memory, MiB | " + " | ".join(
        f"{whole[whole['n_query'] == size]['peak_mib'].min():,.0f}" for size in sizes
    ) + " | | |")  # fmt: skip
    return "\n".join(lines)


def rate_table(rates: pd.DataFrame) -> str:
    """Return decisions per second and core by router, fastest first."""
    lines = ["| router | decisions per second and core |", "|---|---:|"]
    ordered = rates.sort_values("per_second", ascending=False)
    lines += [f"| {row.router} | {_rate(float(row.per_second))} |" for row in ordered.itertuples()]
    return "\n".join(lines)


def insert(document: str | Path, text: str) -> None:
    """Replace what stands between the markers of a document.

    Raises
    ------
    UserError
        The document lacks a marker, or they stand in the wrong order.
    """
    path = files.existing_file(document)
    old = path.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise UserError(f"{path} should hold one line {BEGIN!r} and, below it, one line {END!r}; add them")
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    files.write_text(path, f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,.0f}"


def _fit(row: object) -> str:
    exponent, low, high = (float(getattr(row, name)) for name in ("exponent", "low", "high"))
    if not np.isfinite(exponent):
        return ""
    return f"{exponent:.2f}" + (f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else "")
