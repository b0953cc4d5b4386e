"""Quality against cost: every router's frontier, the single models, their hull and the oracle."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style, trade_off
from dacr.report.comparison import compare
from dacr.report.figure import Figure, box, headline
from dacr.report.folder import Absent, Results


@figures.register("quality_cost")
class QualityCost(Figure):
    """The main figure: who buys the most quality for a dollar."""

    size_in: ClassVar[tuple[float, float]] = (style.DOUBLE_IN, 3.5)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and setting, per single model, and per vertex of their hull."""
        frame = trade_off.points(results, "mean_quality").assign(note=results.setting)
        if frame["y_lo"].notna().any():
            return frame
        try:
            points = compare(results).points
        except Absent:
            return frame
        deployable = ~points["policy"].map(lambda router: style.look(router).reference).astype(bool)
        shown = points[deployable & (points["weight"] == 0)]
        known = shown.set_index(["policy", "setting"])[["quality_lo", "quality_hi"]]
        keys = pd.MultiIndex.from_frame(frame[["policy", "setting"]])
        frame[["y_lo", "y_hi"]] = known.reindex(keys).to_numpy()
        return frame

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the frontiers with the legend at the right."""
        top = headline(fig, "Quality against cost", frame["note"].iloc[0])
        width, height = fig.get_size_inches()
        ax = box(fig, 0.5, 0.36, 1.62, (1 - top) * height)
        handles = trade_off.draw(ax, frame, frontier=True)
        ax.set_xlabel(trade_off.COST_LABEL)
        ax.set_ylabel("Mean quality (0 to 1)")
        trade_off.legend(fig, handles, loc="upper left", bbox_to_anchor=(1 - 1.56 / width, top + 0.01))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a point and a line are."""
        interval = (
            " Bars are 95 % intervals, where the main table has this very setting."
            if frame["y_lo"].notna().any()
            else ""
        )
        return (
            "Mean quality against mean cost. Each mark is one router at one setting; a line joins those that no "
            "cheaper setting of the same router beats (the others are small and faint). Up and left is better. Grey "
            "dots are single models called on every query; the grey line is what mixing two of them by a coin buys: a "
            "router is worth having where it lies above it. The oracle knows every model's true outcome beforehand: a "
            f"limit, not a router.{interval}{trade_off.own_budget(frame)}"
        )
