"""Quality against cost in every family of domains: small multiples."""

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style, trade_off
from dacr.report.equal_money import with_net
from dacr.report.figure import Figure, fold, headline, legend_below, panels
from dacr.report.folder import Absent, Results

COLUMNS = 3
MOST = 9
"""Families shown at most: the largest."""
FEWEST = 20
"""Families with fewer queries show noise."""


@figures.register("quality_cost_by_family")
class QualityCostByFamily(Figure):
    """Is a router good everywhere, or good on average?"""

    size_in = (style.DOUBLE_IN, 4.0)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per family, router and setting: means over the family's queries."""
        table = with_net(results.frontier("metrics_by_domain.csv"), results)
        group = "family" if table["family"].nunique() > 1 else "domain"
        if table[group].nunique() < 2:
            raise Absent("there is only one domain; see quality_cost")
        table["q"], table["c"] = table["net"] * table["n"], table["mean_cost"] * table["n"]
        sums = table.groupby([group, "policy", "setting"], sort=False)[["q", "c", "n"]].sum().reset_index()
        largest = sums.groupby(group)["n"].max().sort_values(ascending=False, kind="stable")
        shown = sorted(largest.index, key=lambda name: (-largest[name], name))[:MOST]
        shown = [name for name in shown if largest[name] >= FEWEST] or shown[:1]
        frame = trade_off.router_points(results, sums, sums["c"] / sums["n"], sums["q"] / sums["n"])
        frame = frame.assign(family=sums[group], n=sums["n"], measure=results.quality)
        frame = frame[frame["family"].isin(shown)].dropna(subset=["y"])
        frame = frame[~frame["policy"].isin(style.FIXED)]
        frame["family"] = pd.Categorical(frame["family"], shown)
        frame = frame.sort_values("family", kind="stable").astype({"family": object})
        return frame.reset_index(drop=True).assign(note=results.setting, left_out=len(largest) - len(shown))

    def height_in(self, frame: pd.DataFrame) -> float:
        """One row of panels for each three families, and the legend below."""
        n_router = frame["policy"].nunique()
        n_row = -(-frame["family"].nunique() // _columns(frame))
        return float(0.8 + 1.75 * n_row + 0.13 * -(-n_router // 5))

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw one panel per family, the largest first, with one legend."""
        left_out, measure = int(frame["left_out"].iloc[0]), str(frame["measure"].iloc[0])
        more = f" · {left_out} smaller families not shown" if left_out else ""
        headline(fig, f"{measure.capitalize()} against cost by family of domains", frame["note"].iloc[0] + more)
        families = frame["family"].unique().tolist()
        handles = []
        columns = _columns(frame)
        for i, (ax, family) in enumerate(zip(panels(fig, len(families), columns), families, strict=True)):
            part = frame[frame["family"] == family]
            handles = trade_off.draw(ax, part, frontier=True)
            title = fold(f"{family} (n = {int(part['n'].max()):,})", 110 // columns)
            if i + columns < len(families):
                ax.set_xlabel("")
            elif ax.get_xlabel() == trade_off.COST_LABEL:  # too long for a narrow panel
                ax.set_xlabel("USD per 1,000 requests, log scale")
            ax.set_title(title, fontsize=6.6, fontweight="normal", pad=2.5)
        fig.supylabel(f"Mean {measure}")
        legend_below(fig, handles, 5)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is pooled."""
        return (
            f"Mean {frame['measure'].iloc[0]} against mean cost within each family of domains, the largest first. "
            "Each mark is one router at one setting; a line joins those that no cheaper setting of the same router "
            f"beats in that family, and goes on flat.{trade_off.own_budget(frame)}"
        )


def _columns(frame: pd.DataFrame) -> int:
    n = int(frame["family"].nunique())
    return 2 if n in (2, 4) else min(COLUMNS, n)
