"""Budgets that were enforced: were they kept, and what did they buy."""

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.metrics.budgets import one_per_budget
from dacr.report import style, trade_off
from dacr.report.equal_money import with_net
from dacr.report.figure import Figure, headline, legend
from dacr.report.folder import Absent, Results
from dacr.report.table import stream_orders

FEW = 6
"""With more routers, only the first one's spread is drawn."""


@figures.register("budget_compliance")
class BudgetCompliance(Figure):
    """Spending and quality under enforced budgets."""

    size_in = (style.DOUBLE_IN, 3.0)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and budget: mean, lowest and highest over stream orders."""
        table = with_net(results.table("budgets.csv"), results)
        table = one_per_budget(table[table["enforced"]])
        if table.empty:
            raise Absent("no budget of money was enforced on every router (--budget_cost, --budget_grid)")
        table = table.assign(spent=100.0 * table["mean_cost"] / table["budget_cost"])
        groups = table.groupby(["policy", "budget_cost"], sort=True)
        frame = groups.agg(
            spent_percent=("spent", "mean"),
            spent_lo=("spent", "min"),
            spent_hi=("spent", "max"),
            quality=("net", "mean"),
            n_order=("spent", "size"),
        ).reset_index()
        frame.insert(1, "budget_per_1000", 1000.0 * frame.pop("budget_cost"))
        able = frame[~frame["policy"].isin(style.FIXED)]
        return (able if len(able) else frame).assign(measure=results.quality, note=results.setting)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw spending at the left and quality at the right."""
        measure = str(frame["measure"].iloc[0])
        headline(fig, f"Enforced budgets: spending and {measure}", frame["note"].iloc[0])
        spend, quality = fig.subplots(1, 2)
        spend.axhline(100, color="#222222", linewidth=0.9, linestyle=(0, (5, 2)), zorder=1.6)
        handles = []
        first = style.in_order(frame["policy"])[0]
        for router in style.in_order(frame["policy"]):
            part = frame[frame["policy"] == router].sort_values("budget_per_1000")
            own = style.look(router)
            kwargs = own.kwargs() | {"markersize": 2.8}
            x = part["budget_per_1000"]
            if router == first or frame["policy"].nunique() <= FEW:
                spend.fill_between(x, part["spent_lo"], part["spent_hi"], color=own.colour, alpha=0.16, linewidth=0)
            spend.plot(x, part["spent_percent"], **kwargs)
            quality.plot(x, part["quality"], **kwargs)
            handles.append(own.handle())
        for ax, title in ((spend, "Money spent, in % of the budget"), (quality, f"Mean {measure} at this budget")):
            ax.set_xscale("log")
            ax.set_title(title, fontsize=6.6, fontweight="normal", pad=3)
            low, high = frame["budget_per_1000"].min(), frame["budget_per_1000"].max()
            ax.set_xlim(low / 1.1, high * 1.1)
            trade_off.plain_log_ticks(ax)
            ax.set_xlabel("Budget (USD per 1,000 requests, log scale)")
        low, high = min(95.0, frame["spent_lo"].min()), max(105.0, frame["spent_hi"].max())
        room = 0.05 * (high - low)
        spend.set_ylim(low - room, high + room)
        spend.yaxis.set_major_formatter("{x:g} %")
        legend(quality, handles)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is a breach."""
        return (
            "Left: money spent on the whole stream in percent of the budget that was to be kept; above the dashed line "
            "the budget was exceeded. A band reaches from the lowest to the highest of "
            f"{stream_orders(frame['n_order'])}. Right: the mean {frame['measure'].iloc[0]} bought; its mean over the "
            "budgets is the headline number."
        )
