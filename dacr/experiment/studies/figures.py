"""Figures of the study; each is drawn from the CSV of its own numbers alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from dacr.report import style
from dacr.report.figure import Figure, headline
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


def panels(fig: Canvas, names: list[str], top: float, sharey: bool = True) -> Iterator[tuple[str, Axes, bool]]:
    """Yield (name, axes, whether it is in the first column) for a grid of small multiples."""
    width, height = fig.get_size_inches()
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    grid = fig.add_gridspec(
        rows,
        columns,
        left=(0.55 if sharey else 0.66) / width,
        right=1 - 0.08 / width,
        bottom=0.42 / height,
        top=top - 0.36 / height,
        wspace=0.1 if sharey else 0.34,
        hspace=0.38,
    )
    for i, name in enumerate(names):
        ax = fig.add_subplot(grid[i // columns, i % columns])
        ax.set_title(name, fontsize=6.6, fontweight="normal", pad=2.5)
        ax.tick_params(labelleft=not sharey or i % columns == 0)
        yield name, ax, i % columns == 0


class _Multiples(Figure):
    """Small multiples, one per hold-out."""

    size_in = (style.DOUBLE_IN, 2.6)
    layout = None
    title = ""
    setting = ""
    x_label = ""
    y_label = ""

    def height_in(self, frame: pd.DataFrame) -> float:
        """One row of panels for each four hold-outs."""
        return 1.05 + PANEL_IN * -(-len(frame["holdout"].unique()) // COLUMNS)

    def _around(self, fig: Canvas, handles: dict[str, Any]) -> float:
        width, height = fig.get_size_inches()
        top = headline(fig, self.title, self.setting)
        fig.text(0.5, 0.05 / height, self.x_label, ha="center", va="bottom", fontsize=7)
        fig.text(0.05 / width, 0.5, self.y_label, ha="left", va="center", rotation=90, fontsize=7)
        return top

    def _legend(self, fig: Canvas, top: float, handles: dict[str, Any]) -> None:
        width, height = fig.get_size_inches()
        fig.legend(
            list(handles.values()),
            list(handles),
            loc="upper left",
            bbox_to_anchor=(0.02 / width, top + 0.03 / height),
            ncols=5,
        )


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

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw bins with 95 % intervals; the width of a mark's line says nothing, its size the count."""
        handles: dict[str, Any] = {}
        top = self._around(fig, handles)
        low = float(np.floor(4 * frame[["mean_p", "mean_q"]].to_numpy().min()) / 4)
        ticks = [tick for tick in (0.0, 0.25, 0.5, 0.75) if tick >= low]
        for name, ax, _ in panels(fig, frame["holdout"].unique().tolist(), top):
            ax.plot([low, 1], [low, 1], color="#222222", linewidth=0.6)
            for calibrator, part in frame[frame["holdout"] == name].groupby("calibrator", sort=False):
                colour, marker, label = COLOURS[str(calibrator)]
                share = part["n"] / part["n"].sum()
                ends = np.stack([part["mean_q"] - part["mean_q_low"], part["mean_q_high"] - part["mean_q"]])
                bars = ax.errorbar(
                    part["mean_p"], part["mean_q"], np.nan_to_num(np.maximum(ends, 0)), color=colour, linewidth=0.8,
                    elinewidth=0.6, zorder=2,
                )  # fmt: skip
                ax.scatter(part["mean_p"], part["mean_q"], 3 + 40 * share, color=colour, marker=marker, zorder=3)
                handles[label] = bars
            ax.set_xlim(low, 1)
            ax.set_ylim(low, 1)
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self._legend(fig, top, handles)

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
    x_label = "Brier score, mean over models (left is better)"
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

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw marks; the raw prediction, the base rate and the default are coloured."""
        handles: dict[str, Any] = {}
        top = self._around(fig, handles)
        for name, ax, _ in panels(fig, frame["holdout"].unique().tolist(), top, sharey=False):
            ax.axhline(0.0, color="#222222", linewidth=0.6)
            for row in frame[frame["holdout"] == name].to_dict("records"):
                kind = str(row["calibrator"])
                colour, marker, label = COLOURS.get(kind, (style.SKY, ".", "other calibrators"))
                ends = np.array([[row["difference"] - row["low"]], [row["high"] - row["difference"]]])
                bars = ax.errorbar(
                    [row[self.x]], [row["difference"]], np.maximum(ends, 0), color=colour, marker=marker or "*",
                    markersize=4, linewidth=0.5, zorder=2 if label == "other calibrators" else 3,
                )  # fmt: skip
                handles[label.replace(", offline", "")] = bars
            ax.locator_params(nbins=4)
        self._legend(fig, top, handles)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what would be expected."""
        return (
            "One mark per calibrator; the difference is that of the same router on the same queries, once with the "
            "calibrator and once with raw predictions, with its paired 95 % interval. If calibration paid directly, "
            "marks would fall from the upper left to the lower right. A calibrator that moves all models alike "
            "changes its error and no choice."
        )


class PaysEce(Pays):
    """The same against the ECE."""

    name = "study_routing_ece"
    x_label = "ECE, mean over models (left is better)"
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
