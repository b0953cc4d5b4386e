"""Figures as SVG inside a page: ids that do not clash, points that tell their values."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.report import style, trade_off
from dacr.report.figure import save

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
