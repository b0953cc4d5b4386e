"""The report: one self-contained page that can be mailed, and read without a network and without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.registry import figures
from dacr.report import style, svg, tables, words
from dacr.report.folder import Results, read_csv
from dacr.report.table import to_html

FRONTIER = "quality_cost"
AFTER = (
    "violations_cost", "latency_tail", "budget_compliance", "quality_cost_by_family", "win_tie_loss", "model_share",
    "reliability", "risk_coverage", "regret", "duals",
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
    routers = style.in_order(results.table("metrics.csv")["policy"])
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = pages.get_template("report.html").render(
        setting=results.setting,
        run=words.what_was_run(results),
        fingerprint=words.fingerprint(results.manifest),
        answer=words.answer(results),
        frontier=drawn.pop(FRONTIER, None),
        switches=[(i, style.slug(router), style.look(router)) for i, router in enumerate(routers)],
        figures=list(drawn.values()),
        tables=[Markup(to_html(table)) for table in tables.made(results)[0].values()],
        checks=_checks(results),
    )
    target = results.folder / "report.html"
    files.write_text(target, page)
    return target


def _drawn(name: str, folder: Path, picture: Canvas | None) -> dict[str, Any]:
    figure = figures.get(name)()
    frame = read_csv(folder / f"{name}.csv")
    try:
        caption = figure.caption(frame)
    except KeyError as error:
        csv, lacks = str(folder / f"{name}.csv"), error.args[0]
        raise UserError(
            f"{csv!r} lacks the column {lacks!r}: another version drew it; draw all figures again (no --figures)"
        ) from None
    points = frame if name == FRONTIER else None
    inlined = svg.inline(picture or figure.picture(frame), name.replace("_", "-"), caption, points)
    return {"name": name, "svg": Markup(inlined), "caption": caption}


def _checks(results: Results) -> list[dict[str, Any]]:
    """Return the checks that the experiment stored, gravest first; of many findings of one kind the first few."""
    if not results.has("checks.csv"):
        return []
    table = read_csv(results.folder / "checks.csv")
    passed = table["status"].map({"passed": 3}).fillna(4)
    rank = table["severity"].map({"error": 0, "warning": 1, "info": 2}).fillna(passed)
    table = table.iloc[np.lexsort((table["code"], rank))]
    kind = table.groupby(["code", "severity"])["status"]
    place, size = kind.cumcount(), kind.transform("size")
    table.loc[place == MOST_FINDINGS, "fix"] = ""
    more = (size - MOST_FINDINGS).map("and {} more like these".format)
    table["message"] = table["message"].where(place != MOST_FINDINGS, more)
    return table[place <= MOST_FINDINGS].to_dict("records")
