"""The report: one self-contained page that can be mailed, and read without a network and without scripts.

Figures stand in it as SVG, with ids that do not clash and points that tell their values.
"""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.registry import figures
from dacr.report import style, tables, trade_off, words
from dacr.report.figure import save
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
    inlined = inline(picture or figure.picture(frame), name.replace("_", "-"), caption, points)
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


_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


def inline(picture: Canvas, name: str, label: str, points: pd.DataFrame | None = None) -> str:
    """Return a figure as an ``<svg>`` element that scales with the page.

    Parameters
    ----------
    name : str
        Put before every id, so that several figures can stand in one page.
    label : str
        What a screen reader says.
    points : DataFrame, optional
        Frame of a quality-cost figure: its marks get a title with their values, shown on hovering, and
        each router's group the attribute ``data-router``.
    """
    buffer = io.BytesIO()
    save(picture, buffer, "svg")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    if points is not None:
        for router in style.in_order(points.loc[points["kind"] == "router", "policy"]):
            _tell(root, points, router)
    else:  # small multiples name the groups of every panel alike
        for group in root.iter(f"{{{_SVG}}}g"):
            if group.get("id", "").startswith(("router-", "dominated-", "bars-")):
                del group.attrib["id"]
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", label)
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)


def _tell(root: ElementTree.Element, points: pd.DataFrame, router: str) -> None:
    """Give each mark of one router a title."""
    part, name = trade_off.in_order_of_cost(points, router), style.slug(router)
    joined = trade_off.efficient(part["y"].to_numpy())
    for kind, rows in (("router", part[joined]), ("dominated", part[~joined]), ("bars", part[:0])):
        group = root.find(f".//{{{_SVG}}}g[@id='{kind}-{name}']")
        if group is None:
            continue
        group.set("data-router", name)
        marks = list(group.iter(f"{{{_SVG}}}use"))
        if len(marks) != len(rows):
            continue  # a line without marks, such as the zero router's
        for mark, row in zip(marks, rows.to_dict("records"), strict=True):
            title = ElementTree.SubElement(mark, f"{{{_SVG}}}title")
            title.text = describe(row)


def describe(row: Mapping[str, object]) -> str:
    """Return what hovering over a point shows.

    Examples
    --------
    >>> describe({"policy": "knn", "setting": "lambda_cost=5", "y": 0.61234, "cost_per_1000": 0.25})
    'kNN, lambda_cost=5: quality 0.612 at 0.25 USD per 1,000 requests'
    """
    setting = f", {row['setting']}" if row["setting"] else ""
    label = style.look(str(row["policy"])).label
    return f"{label}{setting}: quality {row['y']:.3f} at {row['cost_per_1000']:.3g} USD per 1,000 requests"
