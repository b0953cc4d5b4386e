"""Cost on the x axis, what it buys on the y axis: the axes that several figures share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from dacr.metrics.hull import upper_hull
from dacr.report import labels, style
from dacr.report.folder import Absent, Results, short_names
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
    if y not in metrics.columns:
        raise Absent(f"{table} has no column {y}")
    out = pd.DataFrame(
        {
            "kind": "router",
            "policy": metrics["policy"],
            "setting": metrics.get("setting", pd.Series("", index=metrics.index)),
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
    covered: list[Floats] = []
    hull = frame[frame["kind"] == HULL]
    handles: list[Line2D] = []
    singles = frame[frame["kind"] == SINGLE]
    if len(hull):
        x, y = _straight(hull["cost_per_1000"].to_numpy(), hull["y"].to_numpy())
        line = ax.plot(x, y, color="#b5b5b5", linewidth=1.0, zorder=1.5, label="hull of single models")[0]
        handles.append(line)
        covered.append(np.column_stack([x, y]))
    if len(singles):
        ax.plot(
            singles["cost_per_1000"], singles["y"], "o", color="#9a9a9a", markersize=2.6, markeredgewidth=0, zorder=2
        )
        handles.append(
            Line2D([], [], marker="o", linestyle="none", color="#9a9a9a", markersize=3, label="single model")
        )
    named_roles = {role for text in singles["role"] for role in text.split(" = ")}
    routers = frame[frame["kind"] == "router"]
    own: list[Line2D] = []
    for policy in style.in_order(routers["policy"]):
        look = style.look(policy)
        if policy in style.FIXED and look.label.removesuffix(" model") in named_roles:
            continue
        part = in_order_of_cost(routers, policy)
        x, y = part["cost_per_1000"].to_numpy(), part["y"].to_numpy()
        lo, hi = part["y_lo"].to_numpy(float), part["y_hi"].to_numpy(float)
        if np.isfinite(lo).any():
            known = np.isfinite(lo) & np.isfinite(hi)
            ax.vlines(x[known], lo[known], hi[known], colors=look.colour, linewidth=0.8, alpha=0.6, zorder=2.4,
                      gid=f"bars-{policy}")  # fmt: skip
            covered += [np.column_stack([np.repeat(x[known], 2), np.column_stack([lo[known], hi[known]]).ravel()])]
        on = efficient(y) if frontier else np.ones(len(y), dtype=bool)
        ax.plot(x[on], y[on], **look.kwargs(), gid=f"router-{policy}")
        if not on.all():
            faint = look.kwargs() | {"linestyle": "none", "markersize": 2.2, "alpha": 0.45, "zorder": 2.2}
            ax.plot(x[~on], y[~on], **faint, gid=f"dominated-{policy}")
        own.append(replace(look, label=f"{look.label} §").handle() if part["budgeted"].any() else look.handle())
        covered += [_along(x[on], y[on]), np.column_stack([x[~on], y[~on]])]
    _limits(ax, frame)
    singles = singles[singles["y"] > name_above]
    if len(singles):
        texts = [
            label + (f" ({role})" if role else "")
            for label, role in zip(singles["label"], singles["role"], strict=True)
        ]
        where = singles[["cost_per_1000", "y"]].to_numpy(float)
        labels.place(ax, where, texts, np.vstack(covered) if covered else np.zeros((0, 2)))
    return own + handles


def own_budget(frame: pd.DataFrame) -> str:
    """Return what a caption says of the mark §, where a router of :func:`points` bears it; else nothing."""
    return f" {style.OWN_BUDGET}" if frame["budgeted"].any() else ""


def in_order_of_cost(frame: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return the points of one router as they are drawn, from the cheapest."""
    own = frame[(frame["kind"] == "router") & (frame["policy"] == policy)]
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


def _straight(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Sample the segments densely: mixing two models is a straight line in cost, a curve on a log axis."""
    if len(x) < 2:
        return x, y
    fine = np.unique(np.concatenate([np.geomspace(x[0], x[-1], 200), x]))
    return fine, np.interp(fine, x, y)


def _along(x: Floats, y: Floats) -> Floats:
    """Return points along a drawn line, so that labels keep clear of it."""
    if len(x) < 2:
        return np.column_stack([x, y])
    step = np.linspace(0, len(x) - 1, 12 * len(x))
    at = np.arange(len(x))
    return np.column_stack([np.exp(np.interp(step, at, np.log(x))), np.interp(step, at, y)])
