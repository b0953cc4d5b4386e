"""Figures of the study; each is drawn from the CSV of its own numbers alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from dacr.report import style
from dacr.report.figure import Figure, headline, legend_below, panels
from dacr.report.folder import Absent, Results, read_csv
from dacr.report.make import write

COLOURS = {
    "identity": (style.GREY, "s", "raw prediction"),
    "base_rate": (style.BLACK, "", "base rate"),
    "base_slope": (style.BLUE, "D", "base_slope, offline"),
    "dacr": (style.VERMILLION, "o", "DACR, online"),
}
COLUMNS = 4
PANEL_IN = 1.75


class _Multiples(Figure):
    """Small multiples, one per hold-out."""

    size_in = (style.DOUBLE_IN, 2.6)
    title = ""
    setting = ""
    x_label = ""
    y_label = ""

    def height_in(self, frame: pd.DataFrame) -> float:
        """One row of panels for each four hold-outs."""
        return 1.05 + PANEL_IN * -(-len(frame["holdout"].unique()) // COLUMNS)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw a panel for each hold-out, with one legend below."""
        headline(fig, self.title, self.setting)
        names = frame["holdout"].unique().tolist()
        handles: dict[str, Any] = {}
        columns = min(COLUMNS, len(names))
        for i, (ax, name) in enumerate(zip(panels(fig, len(names), columns), names, strict=True)):
            ax.set_xlabel(self.x_label if i + columns >= len(names) else "")
            ax.set_title(name, fontsize=6.6, fontweight="normal", pad=2.5)
            handles |= self.panel(ax, frame[frame["holdout"] == name], frame)
        fig.supylabel(self.y_label)
        for label, handle in handles.items():
            handle.set_label(label)
        legend_below(fig, list(handles.values()), 4)

    def panel(self, ax: Axes, part: pd.DataFrame, frame: pd.DataFrame) -> dict[str, Any]:
        """Draw one hold-out, ``part`` of the frame; return what the legend shows, by its words."""
        raise NotImplementedError


class Bins(_Multiples):
    """Reliability before calibration, after it, and after feedback."""

    name = "study_reliability"
    title = "Predicted against observed quality, before and after"
    setting = "pairs of all models pooled; raw and base_slope: all pairs; DACR: called pairs along the stream"
    x_label = "Predicted quality"
    y_label = "Observed mean quality"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per hold-out, series and bin with at least 20 pairs."""
        table = read_csv(results.folder / "reliability.csv")  # a study's, with a column of its own
        table = table[(table["model"] == "all") & (table["domain"] == "all")]
        called = (table["calibrator"] == "dacr") & (table["stage"] == "online")
        offline = table["calibrator"].isin(["identity", "base_slope"])
        return table[(called | offline) & (table["n"] >= 20)]

    def panel(self, ax: Axes, part: pd.DataFrame, frame: pd.DataFrame) -> dict[str, Any]:
        """Draw bins with 95 % intervals; the width of a mark's line says nothing, its size the count."""
        low = float(np.floor(4 * frame[["mean_p", "mean_q"]].to_numpy().min()) / 4)
        ticks = [tick for tick in (0.0, 0.25, 0.5, 0.75) if tick >= low]
        ax.plot([low, 1], [low, 1], color="#222222", linewidth=0.6)
        handles: dict[str, Any] = {}
        for calibrator, own in part.groupby("calibrator", sort=False):
            colour, marker, label = COLOURS[str(calibrator)]
            share = own["n"] / own["n"].sum()
            ends = np.stack([own["mean_q"] - own["mean_q_low"], own["mean_q_high"] - own["mean_q"]])
            handles[label] = ax.errorbar(
                own["mean_p"], own["mean_q"], np.nan_to_num(np.maximum(ends, 0)), color=colour, linewidth=0.8,
                elinewidth=0.6, zorder=2,
            )  # fmt: skip
            ax.scatter(own["mean_p"], own["mean_q"], 3 + 40 * share, color=colour, marker=marker, zorder=3)
        ax.set(xlim=(low, 1), ylim=(low, 1))
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        return handles

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what marks and bars are."""
        return (
            "Observed mean quality in bins of the prediction; on the diagonal a prediction means what it says. The "
            "area of a mark grows with its share of the pairs; bars are 95 % intervals; bins with fewer than "
            "20 pairs are left out."
        )


class Pays(_Multiples):
    """What each calibrator adds to the frontier area, paired, against its Brier score: one mark per calibrator."""

    name = "study_routing"
    title = "Does better calibration route better?"
    setting = "predict-then-optimise with each calibrator, less with raw predictions; paired 95 % intervals"
    x_label = "Brier score (left is better)"
    y_label = "Area gained over raw (up is better)"
    x = "brier"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per hold-out and calibrator."""
        table = results.table("routing.csv")
        names = {f"{name}_to_identity": name for name in ("difference", "low", "high")}
        if not set(names) <= set(table):
            raise Absent("routing.csv compares nothing with the raw prediction")
        frame = table[["holdout", "calibrator", self.x, "area", *names]].rename(columns=names)
        return frame.fillna(dict.fromkeys(names.values(), 0.0))

    def panel(self, ax: Axes, part: pd.DataFrame, frame: pd.DataFrame) -> dict[str, Any]:
        """Draw marks; the raw prediction, the base rate and the default are coloured."""
        ax.axhline(0.0, color="#222222", linewidth=0.6)
        handles: dict[str, Any] = {}
        for row in part.to_dict("records"):
            colour, marker, label = COLOURS.get(str(row["calibrator"]), (style.SKY, ".", "other calibrators"))
            ends = np.array([[row["difference"] - row["low"]], [row["high"] - row["difference"]]])
            handles[label.replace(", offline", "")] = ax.errorbar(
                [row[self.x]], [row["difference"]], np.maximum(ends, 0), color=colour, marker=marker or "*",
                markersize=4, linewidth=0.5, zorder=2 if label == "other calibrators" else 3,
            )  # fmt: skip
        ax.locator_params(nbins=4)
        return handles

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what would be expected."""
        return (
            "One mark per calibrator, its error the mean over models; the difference is that of the same router on the "
            "same queries, once with the calibrator and once with raw predictions, with its paired 95 % interval. If "
            "calibration paid directly, marks would fall from the upper left to the lower right. A calibrator that "
            "moves all models alike changes its error and no choice."
        )


class PaysEce(Pays):
    """The same against the ECE."""

    name = "study_routing_ece"
    x_label = "ECE (left is better)"
    x = "ece"


def draw_figures(folder: Path) -> list[str]:
    """Draw every figure whose table is in the folder, as PDF, PNG and CSV in ``figures/``; return their names."""
    results = Results(folder, {})
    made = []
    for figure in (Bins(), Pays(), PaysEce()):
        try:
            write(figure, results, folder / "figures")
        except Absent:
            continue
        made.append(figure.name)
    return made
