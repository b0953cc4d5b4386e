"""Cost on the x axis, what it buys on the y axis: the axes that several figures share."""

import contextlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import textalloc
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from dacr.metrics.hull import upper_hull
from dacr.report import style
from dacr.report.equal_money import with_net
from dacr.report.figure import fold
from dacr.report.folder import Results, short_names
from dacr.types import Floats

COST_LABEL = "Mean cost (USD per 1,000 requests, log scale)"
SINGLE, HULL = "single", "hull"


def router_points(results: Results, table: pd.DataFrame, cost: pd.Series, y: pd.Series) -> pd.DataFrame:
    """Return the columns of :func:`points` for routers: ``table`` has ``policy`` and ``setting``, ``cost`` is USD."""
    about = {
        "kind": "router",
        "policy": table["policy"],
        "setting": table["setting"],
        "label": table["policy"],
        "role": "",
    }
    made = pd.DataFrame({**about, "cost_per_1000": cost * 1000.0, "y": y})
    return made.assign(budgeted=made["policy"].isin(results.budgeted), y_lo=np.nan, y_hi=np.nan)


def points(results: Results, y: str) -> pd.DataFrame:
    """Return one row per point: routers at each setting, single models, and the single models' hull.

    Parameters
    ----------
    y : str
        Column of the metrics that goes on the y axis.

    Returns
    -------
    DataFrame with ``kind`` (router, single, hull), ``policy`` or ``model``, ``label``, ``cost_per_1000``
    (USD), ``y``, and ``y_lo`` and ``y_hi`` for the ends of an interval, NaN as yet.
    """
    metrics = with_net(results.frontier(), results)
    out = router_points(results, metrics, metrics["mean_cost"], metrics[y])
    parts = [out]
    if results.has("singles.csv"):
        parts += _single_models(with_net(results.table("singles.csv"), results), y, out)
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
    if y != "net":
        return [single]
    cost, quality = upper_hull(singles["mean_cost"], singles[y])
    hull = pd.DataFrame({"kind": HULL, "policy": "", "label": "", "cost_per_1000": cost * 1000.0, "y": quality})
    return [single, hull.assign(setting="", role="", budgeted=False)]


def draw(ax: Axes, frame: pd.DataFrame, *, frontier: bool = False) -> list[Line2D]:
    """Draw the points on ``ax`` (log cost) and return the handles of a legend, in order.

    With ``frontier``, lines join the settings that no cheaper one of the same router beats; the others are
    small and faint.
    """
    handles: list[Line2D] = []
    hull = frame[frame["kind"] == HULL]
    if len(hull):
        most = frame["cost_per_1000"].max()
        line = _straight(hull["cost_per_1000"].to_numpy(), hull["y"].to_numpy())
        line = np.vstack([line, [[most, line[-1, 1]]]]) if frontier else line
        handles += ax.plot(*line.T, color="#b5b5b5", linewidth=1.0, zorder=1.5, label="hull of single models")
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
                      gid=f"bars-{style.slug(router)}")  # fmt: skip
        on = efficient(y) if frontier else np.ones(len(y), dtype=bool)
        ax.plot(x[on], y[on], **look.kwargs(), gid=f"router-{style.slug(router)}")
        if frontier and look.line != "none":  # more money buys no less: the frontier goes on flat
            flat = {"color": look.colour, "linestyle": look.line, "linewidth": 0.6 * look.width, "alpha": 0.7}
            ax.plot([x[on][-1], frame["cost_per_1000"].max()], [y[on][-1]] * 2, **flat, zorder=2.3)
        if not on.all():
            faint = look.kwargs() | {"linestyle": "none", "markersize": 2.2, "alpha": 0.45, "zorder": 2.2}
            ax.plot(x[~on], y[~on], **faint, gid=f"dominated-{style.slug(router)}")
        own.append(replace(look, label=f"{look.label} §").handle() if part["budgeted"].any() else look.handle())
    shown = frame[(frame["kind"] != SINGLE)]
    _limits(ax, frame, shown.loc[_on_frontiers(shown)] if frontier and len(shown) else frame)
    return own + handles


def name_models(ax: Axes, frame: pd.DataFrame, above: float = -np.inf) -> None:
    """Write the names of single models where they meet no line, mark or other name, once all else is drawn.

    Those with a role come first, since what comes first finds room; those without room, and those with ``y`` at most
    ``above``, stay without a name.
    """
    singles = frame[(frame["kind"] == SINGLE) & (frame["y"] > max(above, ax.get_ylim()[0]))]
    if singles.empty:
        return
    drawn = [np.asarray(line.get_xydata(), dtype=float) for line in ax.get_lines() if line.get_linestyle() != "None"]
    bars = [segment for bar in ax.collections if isinstance(bar, LineCollection) for segment in bar.get_segments()]
    lines = [np.asarray(line) for line in (*drawn, *bars) if len(line) > 1]
    singles = singles.sort_values("role", ascending=False, kind="stable")
    texts = [fold(f"{row.label} ({row.role})" if row.role else row.label, 36) for row in singles.itertuples()]
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


def _on_frontiers(frame: pd.DataFrame) -> pd.Index:
    """Return the index of the points of routers that no cheaper one of the same router beats."""
    routers = [name for name in frame.loc[frame["kind"] == "router", "policy"].unique() if name not in style.FIXED]
    parts = [in_order_of_cost(frame, router) for router in routers or style.FIXED]
    return pd.Index([i for part in parts for i in part.index[efficient(part["y"].to_numpy())]])


def _limits(ax: Axes, frame: pd.DataFrame, high: pd.DataFrame) -> None:
    """Show all costs, and in height the points ``high``: a router's worst settings press the others into a line."""
    cost_axis(ax, frame["cost_per_1000"].to_numpy(float))
    y = high[["y", "y_lo", "y_hi"]].to_numpy(float)
    bottom, top = np.nanmin(y), np.nanmax(y)
    span = max(top - bottom, 0.02)
    ax.set_ylim(
        max(bottom - 0.06 * span, 0.0 if bottom >= 0 else -np.inf) if bottom > 0.06 * span else bottom - 0.03 * span,
        top + 0.06 * span,
    )


def cost_axis(ax: Axes, cost: Floats) -> None:
    """Show costs on a logarithmic scale, in plain numbers; a cost of 0, which has no logarithm, at its left end."""
    paid = cost[cost > 0]
    if not len(paid):
        ax.set(xlim=(-1.0, 1.0), xticks=[0.0], xlabel="Mean cost: every call is free, so that there is no scale")
        return
    least, most = paid.min(), paid.max()
    room = max(most / least, 2.0) ** 0.05
    ax.set_xlabel(COST_LABEL)
    if len(paid) == len(cost):
        ax.set(xscale="log", xlim=(least / room, most * room))
        plain_log_ticks(ax)
        return
    ax.set_xscale("symlog", linthresh=least, linscale=0.3)
    ax.set_xlim(-0.2 * least, most * room)
    ticks = [tick for k in range(-12, 13) for tick in (10.0**k,) if least <= tick <= most]
    ax.set_xticks([0.0, *(ticks or [least])])
    ax.xaxis.set_major_formatter("{x:g}")


def plain_log_ticks(ax: Axes) -> None:
    """Label a log x axis at 1, 2 and 5 in plain numbers (at 1 alone where the range is wide)."""
    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs = (1.0,) if decades > 2.7 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(map(float, range(1, 10)))
    ax.xaxis.set_major_locator(LogLocator(base=10, subs=subs, numticks=40))
    ax.xaxis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10)), numticks=200))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _straight(x: Floats, y: Floats) -> Floats:
    """Sample the segments densely: mixing two models is a straight line in cost, a curve on a log axis."""
    paid = x[x > 0]
    fine = np.unique(np.concatenate([np.geomspace(paid[0], paid[-1], 200), x])) if len(paid) > 1 else x
    return np.column_stack([fine, np.interp(fine, x, y)])
