"""Cost on the x axis, what it buys on the y axis: the axes that several figures share."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import textalloc
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from dacr.metrics.hull import upper_hull
from dacr.report import style
from dacr.report.folder import Results, short_names
from dacr.types import Floats

COST_LABEL = "Mean cost (USD per 1,000 requests, log scale)"
SINGLE, HULL = "single", "hull"


def points(results: Results, y: str, table: str = "metrics.csv") -> pd.DataFrame:
    """Return one row per point: routers at each setting, single models, and the single models' hull.

    Parameters
    ----------
    y : str
        Column of the metrics that goes on the y axis.

    Returns
    -------
    DataFrame with ``kind`` (router, single, hull), ``policy`` or ``model``, ``label``, ``cost_per_1000``
    (USD), ``y`` and, where the experiment gave an interval, ``y_lo`` and ``y_hi``.
    """
    metrics = results.frontier(table)
    out = pd.DataFrame(
        {
            "kind": "router",
            "policy": metrics["policy"],
            "setting": metrics["setting"],
            "label": metrics["policy"],
            "role": "",
            "cost_per_1000": metrics["mean_cost"] * 1000.0,
            "y": metrics[y],
            "budgeted": metrics["policy"].isin(results.budgeted),
        }
    )
    stem = y.removeprefix("mean_")
    for end in ("lo", "hi"):
        source = next((c for c in (f"{y}_{end}", f"{stem}_{end}") if c in metrics.columns), None)
        out[f"y_{end}"] = metrics[source] if source else np.nan
    for column in ("domain", "family"):
        if column in metrics.columns:
            out[column] = metrics[column]
    parts = [out[out["cost_per_1000"] > 0]]
    if table == "metrics.csv" and results.has("singles.csv"):
        parts += _single_models(results.table("singles.csv"), y, out)
    return pd.concat(parts, ignore_index=True).dropna(subset=["y", "cost_per_1000"])


def _single_models(singles: pd.DataFrame, y: str, routers: pd.DataFrame) -> list[pd.DataFrame]:
    if y not in singles.columns:
        return []
    names = short_names(singles["model"].tolist())
    fixed = routers[routers["policy"].isin(style.FIXED)].drop_duplicates(["policy", "cost_per_1000", "y"])
    fixed = fixed[~fixed["policy"].duplicated(keep=False)]  # one model whatever the price: a role, not a frontier
    role = [
        " = ".join(
            style.look(row.policy).label.removesuffix(" model")
            for row in fixed.itertuples()
            if np.isclose(row.cost_per_1000, cost * 1000, rtol=1e-6) and np.isclose(row.y, value, atol=1e-9)
        )
        for cost, value in zip(singles["mean_cost"], singles[y], strict=True)
    ]
    single = pd.DataFrame(
        {
            "kind": SINGLE,
            "policy": "",
            "setting": "",
            "label": singles["model"].map(names),
            "role": role,
            "cost_per_1000": singles["mean_cost"] * 1000.0,
            "y": singles[y],
            "budgeted": False,
        }
    )
    if y != "mean_quality":
        return [single]
    cost, quality = upper_hull(singles["mean_cost"], singles[y])
    hull = pd.DataFrame({"kind": HULL, "policy": "", "label": "", "cost_per_1000": cost * 1000.0, "y": quality})
    return [single, hull.assign(setting="", role="", budgeted=False)]


def draw(ax: Axes, frame: pd.DataFrame, *, frontier: bool = False, name_above: float = -np.inf) -> list[Line2D]:
    """Draw the points on ``ax`` (log cost) and return the handles of a legend, in order.

    With ``frontier``, lines join the settings that no cheaper one of the same router beats; the others are
    small and faint. Single models with ``y`` at most ``name_above`` stay without a name.
    """
    ax.set_xscale("log")
    lines: list[Floats] = []
    handles: list[Line2D] = []
    hull = frame[frame["kind"] == HULL]
    if len(hull):
        lines.append(_straight(hull["cost_per_1000"].to_numpy(), hull["y"].to_numpy()))
        handles += ax.plot(*lines[0].T, color="#b5b5b5", linewidth=1.0, zorder=1.5, label="hull of single models")
    singles = frame[frame["kind"] == SINGLE]
    if len(singles):
        grey: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": "#9a9a9a"}
        ax.plot(singles["cost_per_1000"], singles["y"], **grey, markersize=2.6, markeredgewidth=0, zorder=2)
        handles.append(Line2D([], [], **grey, markersize=3, label="single model"))
    named_roles = {role for text in singles["role"] for role in text.split(" = ")}
    routers = frame[frame["kind"] == "router"]
    own: list[Line2D] = []
    for router in style.in_order(routers["policy"]):
        look = style.look(router)
        if router in style.FIXED and look.label.removesuffix(" model") in named_roles:
            continue
        part = in_order_of_cost(routers, router)
        x, y, low, high = part[["cost_per_1000", "y", "y_lo", "y_hi"]].to_numpy(float).T
        known = np.isfinite(low) & np.isfinite(high)
        if known.any():
            ax.vlines(x[known], low[known], high[known], colors=look.colour, linewidth=0.8, alpha=0.6, zorder=2.4,
                      gid=f"bars-{router}")  # fmt: skip
        on = efficient(y) if frontier else np.ones(len(y), dtype=bool)
        ax.plot(x[on], y[on], **look.kwargs(), gid=f"router-{router}")
        if not on.all():
            faint = look.kwargs() | {"linestyle": "none", "markersize": 2.2, "alpha": 0.45, "zorder": 2.2}
            ax.plot(x[~on], y[~on], **faint, gid=f"dominated-{router}")
        own.append(replace(look, label=f"{look.label} §").handle() if part["budgeted"].any() else look.handle())
        lines.append(np.column_stack([x[on], y[on]]))
        lines += [np.array([[a, b], [a, c]]) for a, b, c in zip(x[known], low[known], high[known], strict=True)]
    _limits(ax, frame)
    _name(ax, singles[singles["y"] > name_above], frame, [line for line in lines if len(line) > 1])
    return own + handles


def _name(ax: Axes, singles: pd.DataFrame, frame: pd.DataFrame, lines: list[Floats]) -> None:
    """Write the models' names where they meet no line, mark or other name; those for which there is no room stay out.

    Those with a role come first, since what comes first finds room.
    """
    if singles.empty:
        return
    singles = singles.sort_values("role", ascending=False, kind="stable")
    texts = [f"{row.label} ({row.role})" if row.role else row.label for row in singles.itertuples()]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where no name finds room
        textalloc.allocate(
            ax, singles["cost_per_1000"].to_numpy(), singles["y"].to_numpy(), texts,
            x_scatter=frame["cost_per_1000"].to_numpy(), y_scatter=frame["y"].to_numpy(),
            x_lines=[line[:, 0] for line in lines], y_lines=[line[:, 1] for line in lines],
            textsize=5.8, textcolor="#444444", linecolor="#999999", linewidth=0.4, draw_all=False,
            avoid_label_lines_overlap=True, avoid_crossing_label_lines=True, zorder=6,
        )  # fmt: skip


def own_budget(frame: pd.DataFrame) -> str:
    """Return what a caption says of the mark §, where a router of :func:`points` bears it; else nothing."""
    return f" {style.OWN_BUDGET}" if frame["budgeted"].any() else ""


def in_order_of_cost(frame: pd.DataFrame, router: str) -> pd.DataFrame:
    """Return the points of one router as they are drawn, from the cheapest."""
    own = frame[(frame["kind"] == "router") & (frame["policy"] == router)]
    return own.sort_values(["cost_per_1000", "y"], kind="stable")


def efficient(y: Floats) -> NDArray[np.bool_]:
    """Say which points, in order of cost, are better than every cheaper one.

    Examples
    --------
    >>> efficient(np.array([0.2, 0.4, 0.3, 0.5])).tolist()
    [True, True, False, True]
    """
    before = np.concatenate([[-np.inf], np.maximum.accumulate(y)[:-1]])
    return np.asarray(y > before)


def legend(fig: Canvas, handles: list[Line2D], **where: Any) -> None:
    """Write the legend of :func:`draw`, with dacr in bold."""
    made = fig.legend(handles=handles, **where)
    for text in made.get_texts():
        if text.get_text().removesuffix(" §") == style.look("dacr").label:
            text.set_fontweight("bold")


def _limits(ax: Axes, frame: pd.DataFrame) -> None:
    x = frame["cost_per_1000"].to_numpy(float)
    low, high = x.min(), x.max()
    room = max(high / low, 2.0) ** 0.05
    ax.set_xlim(low / room, high * room)
    y = frame[["y", "y_lo", "y_hi"]].to_numpy(float)
    bottom, top = np.nanmin(y), np.nanmax(y)
    span = max(top - bottom, 0.02)
    ax.set_ylim(
        max(bottom - 0.06 * span, 0.0 if bottom >= 0 else -np.inf) if bottom > 0.06 * span else bottom - 0.03 * span,
        top + 0.06 * span,
    )
    plain_log_ticks(ax)


def plain_log_ticks(ax: Axes) -> None:
    """Label a log x axis at 1, 2 and 5 in plain numbers (at 1 alone where the range is wide)."""
    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs = (1.0,) if decades > 2.7 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(map(float, range(1, 10)))
    ax.xaxis.set_major_locator(LogLocator(base=10, subs=subs, numticks=40))
    ax.xaxis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10)), numticks=200))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _straight(x: Floats, y: Floats) -> Floats:
    """Sample the segments densely: mixing two models is a straight line in cost, a curve on a log axis."""
    fine = np.unique(np.concatenate([np.geomspace(x[0], x[-1], 200), x])) if len(x) > 1 else x
    return np.column_stack([fine, np.interp(fine, x, y)])
