"""What happens along the stream: regret, and the shadow prices of the budgets."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from dacr.core.registry import figures
from dacr.metrics.budgets import one_per_budget
from dacr.report import style
from dacr.report.equal_money import operating_points
from dacr.report.figure import Figure, fold, headline, legend, legend_below
from dacr.report.folder import Absent, Results

WIDE_RANGE = 10.0
"""Where the largest curve reaches so many times as far as the lower ones, the scale is logarithmic beyond those."""

N_POINT = 300
"""Points per router: a long stream is thinned evenly."""


@figures.register("regret")
class Regret(Figure):
    """How much is lost while learning."""

    size_in = (style.COLUMN_IN, 2.9)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and decision: cumulative regret, with its band where there is one."""
        table = results.table("regret.csv")
        # The setting at which the reference router stands in the main table; else the first one.
        own = str(operating_points(results, budgets=False)["setting"].iloc[0])
        table = table[table["setting"] == (own if (table["setting"] == own).any() else table["setting"].iloc[0])]
        table = table[table["reference"] == table["reference"].iloc[0]]
        return _thin(table[["policy", "t", "regret_mean", "lo", "hi", "reference"]]).assign(note=results.setting)

    def height_in(self, frame: pd.DataFrame) -> float:
        """Two routers for each line of the legend."""
        lines = [fold(style.look(router).label, 23).count("\n") + 1 for router in frame["policy"].unique()]
        return 2.2 + 0.07 * sum(lines)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw cumulative regret, with the legend below."""
        headline(fig, "Cumulative regret", frame["note"].iloc[0])
        ax = fig.subplots()
        handles = []
        for router in style.in_order(frame["policy"]):
            part = frame[frame["policy"] == router]
            own = style.look(router)
            if part["lo"].notna().any():
                ax.fill_between(part["t"], part["lo"], part["hi"], color=own.colour, alpha=0.16, linewidth=0)
            handles.append(_line(ax, part["t"], part["regret_mean"], own))
        _finish(ax, frame)
        _widen(ax, frame, "regret_mean", ("lo", "hi"))
        ax.set_ylabel("Regret (quality, summed)")
        legend_below(fig, handles, 2)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say against what regret is counted."""
        return (
            f"Cumulative regret along the stream against the {frame['reference'].iloc[0]} in hindsight at the same "
            "prices, mean over stream orders with 95 % bands. A flat line has learned all it can; a falling one does "
            f"better than the reference.{_said(frame, 'regret_mean')}"
        )


@figures.register("duals")
class Duals(Figure):
    """The shadow prices that keep the budgets."""

    size_in = (style.DOUBLE_IN, 2.5)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and decision: the duals of money and, where there is one, of lateness."""
        table, budget = _one_budget(results.table("duals.csv"))
        keys = ["policy", "t"]
        means = table.groupby(keys, sort=False)[["price_cost", "price_late"]].mean().reset_index()
        if means["price_cost"].isna().all():
            raise Absent("duals.csv holds no dual variable")
        able = means[[not style.look(router).reference for router in means["policy"]]]
        return _thin(able if len(able) else means).assign(budget_per_1000=budget, note=results.setting)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw one panel per dual variable."""
        headline(fig, "Shadow prices of the budgets", frame["note"].iloc[0])
        shown = [c for c in ("price_cost", "price_late") if (frame[c] > 0).any()] or ["price_cost"]
        axes = fig.subplots(1, len(shown), squeeze=False)[0]
        titles = {"price_cost": "Money (quality per USD)", "price_late": "Late answers (quality)"}
        handles: list[Line2D] = []
        for ax, column in zip(axes, shown, strict=True):
            routers = style.in_order(frame["policy"])
            handles = [_line(ax, part["t"], part[column], style.look(router)) for router in routers
                       for part in [frame[frame["policy"] == router]]]  # fmt: skip
            _finish(ax, frame)
            _widen(ax, frame, column)
            ax.set_title(titles[column], fontsize=6.8, fontweight="normal", pad=3)
        legend(axes[-1], handles)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say when a price rises."""
        budget = float(frame["budget_per_1000"].iloc[0])
        at = f", under a budget of {budget:.3g} USD per 1,000 requests" if budget == budget else ""
        return (
            f"Shadow prices along the stream, mean over stream orders{at}: a price rises while more is spent (or more "
            "answers are late) than the budget allows, and falls to 0 where the budget does not bind."
            f"{_said(frame, 'price_cost', 'price_late')}"
        )


def _thin(table: pd.DataFrame) -> pd.DataFrame:
    """Keep at most ``N_POINT`` rows per policy, evenly, the last one included; policies in their usual order."""
    parts = []
    for router in style.in_order(table["policy"]):
        part = table[table["policy"] == router].sort_values("t", kind="stable")
        step = max(len(part) // N_POINT, 1)
        parts.append(part.iloc[(len(part) - 1) % step :: step])
    return pd.concat(parts, ignore_index=True)


def _line(ax: Axes, x: pd.Series, y: pd.Series, own: style.Look) -> Line2D:
    kwargs = own.kwargs() | ({"linestyle": "-"} if own.line == "none" else {})
    ax.plot(x, y, **kwargs, markevery=max(len(x) // 8, 1))
    return own.handle()


def _finish(ax: Axes, frame: pd.DataFrame) -> None:
    ax.set_xlim(frame["t"].min(), frame["t"].max())
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]) if ax.get_ylim()[0] < 0 else 0.0)
    ax.set_xlabel("Decisions")


def _threshold(frame: pd.DataFrame, column: str) -> float:
    """Return up to which size a scale should be linear, a power of ten; infinity where it can be linear throughout.

    One curve that runs away would press all others into a line.
    """
    reach = frame[column].abs().groupby(frame["policy"]).quantile(0.9 if column.startswith("price") else 1.0)
    low, top = reach[reach > 0].quantile(0.25), frame[column].abs().max()
    # Prices of lateness are of the order of 1 or less: near 0 there is nothing to look at.
    low = max(low, 1.0)
    if not np.isfinite(top) or not top > WIDE_RANGE * low:
        return float("inf")
    return float(10.0 ** np.floor(np.log10(max(low, top / 1e4))))


def _widen(ax: Axes, frame: pd.DataFrame, column: str, band: tuple[str, ...] = ()) -> None:
    """Make the scale logarithmic beyond the threshold, below 0 too."""
    threshold = _threshold(frame, column)
    if not np.isfinite(threshold):
        return
    ax.set_yscale("symlog", linthresh=threshold, linscale=1.0)
    values = pd.concat([frame[name] for name in (column, *band)]).dropna()
    ax.set_ylim(1.3 * min(values.min(), 0.0), 1.3 * values.max())
    ticks = [0.0, *(threshold * 10.0**k for k in range(12) if threshold * 10.0**k <= values.max())]
    ax.set_yticks([*(-tick for tick in ticks[:0:-1] if tick <= -values.min()), *ticks])
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _said(frame: pd.DataFrame, *columns: str) -> str:
    """Say in a caption where a scale is not linear."""
    wide = [f"{_threshold(frame, c):g}" for c in columns if c in frame and np.isfinite(_threshold(frame, c))]
    return f" The scale is linear up to {' and '.join(dict.fromkeys(wide))} and logarithmic beyond." if wide else ""


def _one_budget(table: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Keep the middle one of the budgets of money, and return it in USD per 1,000 requests (NaN: not said)."""
    if not (table["budget_cost"] > 0).any():
        return table, float("nan")
    if table["enforced"].any():
        table = table[table["enforced"]]
    table = one_per_budget(table.assign(seed=table["t"]))
    budgets = sorted(table["budget_cost"].unique())
    middle = budgets[(len(budgets) - 1) // 2]
    return table[table["budget_cost"] == middle], 1000.0 * float(middle)
