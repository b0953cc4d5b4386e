"""The report: one self-contained page that can be mailed, and read without a network and without scripts."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from dacr.core import files
from dacr.core.registry import figures
from dacr.report import style, svg, words
from dacr.report.folder import Absent, Results, read_csv
from dacr.report.table import Cell, Table, to_html
from dacr.report.tables import TABLES, budget_quality

FRONTIER = "quality_cost"
AFTER = (
    "violations_cost", "latency_tail", "budget_compliance", "quality_cost_by_family", "win_tie_loss", "model_share",
    "reliability", "regret", "duals",
)  # fmt: skip
"""Order of the figures in the page; any others (plugins) follow."""

MOST_FINDINGS = 4
"""Findings shown of one code and severity."""


def write(results: Results, pictures: Mapping[str, Canvas] | None = None) -> Path:
    """Write ``report.html`` into the results folder from what it holds; return its path.

    Parameters
    ----------
    pictures : mapping of figure name to Figure, optional
        Figures that were just drawn from their CSV; the others are drawn again.
    """
    folder = results.folder / "figures"
    drawn = {}
    names = [FRONTIER, *AFTER, *(name for name in figures.names() if name not in (FRONTIER, *AFTER))]
    for name in names:
        if (folder / f"{name}.csv").is_file():
            drawn[name] = _drawn(name, folder, (pictures or {}).get(name))
    policies = style.in_order(results.table("metrics.csv")["policy"])
    page = (
        _environment()
        .get_template("report.html")
        .render(
            setting=results.setting,
            run=words.what_was_run(results),
            fingerprint=words.fingerprint(results),
            answer=words.answer(results),
            frontier=drawn.pop(FRONTIER, None),
            switches=[(i, policy, style.look(policy)) for i, policy in enumerate(policies)],
            figures=list(drawn.values()),
            tables={name: Markup(to_html(build)) for name, build in _tables(results).items()},
            checks=_checks(results),
        )
    )
    target = results.folder / "report.html"
    files.write_text(target, page)
    return target


def _drawn(name: str, folder: Path, picture: Canvas | None) -> dict[str, Any]:
    figure = figures.get(name)()
    frame = read_csv(folder / f"{name}.csv")
    caption = figure.caption(frame)
    points = frame if name == FRONTIER else None
    inlined = svg.inline(picture or figure.picture(frame), name.replace("_", "-"), caption, points)
    return {"name": name, "svg": Markup(inlined), "caption": caption}


def _tables(results: Results) -> dict[str, Table]:
    out = {}
    for name, build in TABLES.items():
        try:
            out[name] = build(results)
        except Absent:
            continue
    with contextlib.suppress(Absent):
        out["budgets"] = budget_table(results)
    with contextlib.suppress(Absent):
        out["perfect_information"] = information_table(results)
    return out


def budget_table(results: Results) -> Table:
    """Return one row per router: how much of its budgets it spent, and what it bought."""
    made = budget_quality(results)
    if made is None:
        raise Absent("fewer than two budgets were enforced")
    kept = made[made["n_over"] == 0]["quality"].max()
    rows = [
        [
            Cell(style.look(policy).label),
            Cell.number(float(row["quality"]), ".3f", best=bool(row["n_over"] == 0 and row["quality"] == kept)),
            Cell.number(float(row["spent_percent"]), ".1f"),
            Cell.number(float(row["spent_most"]), ".1f"),
            Cell(f"{int(row['n_over'])} of {int(row['n_run'])}", float(row["n_over"])),
        ]
        for policy in style.in_order(made.index)
        for row in [made.loc[policy]]
    ]
    head = ["Router", "Mean quality", "Spent, % of budget", "At most, %", "Runs above it"]
    per_budget = (made["n_run"] / made["n_budget"]).round().astype(int)
    least, most = int(per_budget.min()), int(per_budget.max())
    runs = f"{most if least == most else f'{least} to {most}'} stream order{'s' if most > 1 else ''}"
    notes = [
        f"Means over {int(made['n_budget'].max())} budgets and {runs} of each router; the mean quality over enforced "
        "budgets is the headline number. Bold: best of those that kept every budget in every run.",
    ]
    return Table("budgets", "Enforced budgets", head, rows, notes)


def information_table(results: Results) -> Table:
    """Return one row per router: what knowing true costs and lateness would be worth to it."""
    table = results.table("perfect_information.csv")
    bounded = ~results.along_frontier(table)
    columns = ["gain", "quality_gain", "cost_change", "late_change"]
    means = table[~bounded].groupby("policy")[columns].mean()
    under = table[bounded].groupby("policy")["gain"].mean()
    rows = [
        [
            Cell(style.look(policy).label),
            *(Cell.number(float(means.loc[policy, name]) if policy in means.index else np.nan, "+.3f")
              for name in ("gain", "quality_gain", "late_change")),
            Cell.number(1e3 * float(means.loc[policy, "cost_change"]) if policy in means.index else np.nan, "+.3f"),
            Cell.number(float(under.get(policy, np.nan)), "+.3f"),
        ]
        for policy in style.in_order(table["policy"].unique())
    ]  # fmt: skip
    head = ["Router", "Gain", "Quality", "Late share", "Cost, USD per 1,000", "Gain under budgets"]
    notes = [
        "CLAIRVOYANT: what each router would gain if it knew the true cost and lateness of every model before the "
        "call; quality stays predicted. Gain: quality less the prices of money and lateness, mean over settings, and "
        "over enforced budgets. perfect_information.csv has every setting with its interval.",
    ]
    return Table("perfect_information", "Value of perfect information", head, rows, notes)


def _checks(results: Results) -> list[dict[str, Any]]:
    """Return the checks that the experiment stored; none where it stored none."""
    if not results.has("checks.csv"):
        return []
    table = read_csv(results.folder / "checks.csv")
    rank = {"error": 0, "warning": 1, "info": 2}
    rows = [{str(k): "" if v != v else v for k, v in row.items()} for row in table.to_dict("records")]
    rows = _shortened(rows)
    return sorted(
        rows, key=lambda r: (rank.get(str(r["severity"]), 3 if r["status"] == "passed" else 4), str(r["code"]))
    )


def _shortened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Show the first findings of one kind, and count the rest: hundreds of rows are read by nobody."""
    out, seen = [], Counter[tuple[str, str]]()
    for row in rows:
        kind = (str(row["code"]), str(row["severity"]))
        seen[kind] += 1
        if seen[kind] <= MOST_FINDINGS:
            out.append(row)
    for code, severity in [kind for kind, count in seen.items() if count > MOST_FINDINGS]:
        last = max(i for i, row in enumerate(out) if (row["code"], row["severity"]) == (code, severity))
        more = seen[code, severity] - MOST_FINDINGS
        out.insert(last + 1, {**out[last], "message": f"and {more} more like these", "fix": ""})
    return out


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
