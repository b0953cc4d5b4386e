"""Quality against cost: every router's frontier, the single models, their hull and the oracle."""

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style, trade_off
from dacr.report.comparison import intervals_at
from dacr.report.equal_money import operating_points
from dacr.report.figure import Figure, headline, legend
from dacr.report.folder import Absent, Results


@figures.register("quality_cost")
class QualityCost(Figure):
    """The main figure: who buys the most quality for a dollar."""

    size_in = (style.DOUBLE_IN, 3.5)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and setting, per single model, and per vertex of their hull."""
        frame = trade_off.points(results, "net").assign(measure=results.quality, note=results.setting)
        points = operating_points(results, budgets=False)
        reference = points["policy"].map(lambda router: style.look(router).reference).astype(bool)
        points = points[(points["weight"] == 0) & ~reference]
        try:
            low, high = intervals_at(results, points)
        except Absent:
            return frame
        known = points[["policy", "setting"]].assign(y_lo=low, y_hi=high)
        return frame.drop(columns=["y_lo", "y_hi"]).merge(known, on=["policy", "setting"], how="left")

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the frontiers with the legend at the right."""
        measure = str(frame["measure"].iloc[0]).capitalize()
        headline(fig, f"{measure} against cost", frame["note"].iloc[0])
        ax = fig.subplots()
        ax.set_ylabel(f"Mean {measure.lower()}")
        legend(ax, trade_off.draw(ax, frame, frontier=True))
        trade_off.name_models(ax, frame)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a point and a line are."""
        judged = str(frame["measure"].iloc[0])
        priced = ", quality less the price of late answers" if judged == "net quality" else ""
        bars = " Bars are 95 % intervals, at one setting of each router." if frame["y_lo"].notna().any() else ""
        return (
            f"Mean {judged} against mean cost{priced}. Each mark is one router at one setting. A line joins those that "
            "no cheaper setting of the same router beats, and goes on flat, since nobody has to spend more; the "
            "others are small and faint, or below the axis. Up and left is better. Grey dots are single models that "
            "are called on every query. The grey line is what mixing two of them by a coin buys who knows "
            "beforehand how good they turn out on these very queries; the zero router mixes by what training knew: "
            "a router is worth having where it lies above that. The oracle knows every model's true outcome "
            f"beforehand: it is a limit, not a router.{bars}{trade_off.own_budget(frame)}"
        )
