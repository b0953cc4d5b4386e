"""Reliability diagrams: what was predicted against what happened, per model, raw and calibrated."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.figure import Figure, headline
from dacr.report.folder import Absent, Results, short_names

COLUMNS = 4
PANEL_IN = 1.62
_SERIES: tuple[tuple[str, str, str, Any, str], ...] = (
    ("raw", style.GREY, "s", (0, (3, 1.4)), "raw prediction"),
    ("calibrated", style.BLUE, "o", "-", "calibrated"),
)


@figures.register("reliability")
class Reliability(Figure):
    """When a model is predicted to be right 70 % of the time, is it?"""

    size_in: ClassVar[tuple[float, float]] = (style.DOUBLE_IN, 5.3)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per model, series (raw or calibrated) and bin that holds queries."""
        table = results.table("reliability.csv")
        table = table[table["domain"] == "all"]
        raw = table["stage"] == "raw"
        others = table.loc[~raw, "calibrator"].unique().tolist()
        own = str(results.config.get("calibrator", ""))
        shown = own if own in others else (others or [""])[0]
        table = table[raw | (table["calibrator"] == shown)]
        names = short_names([model for model in table["model"].unique() if model != "all"]) | {"all": "all models"}
        columns = ["calibrator", "lower", "upper", "n", "mean_p", "mean_q", "mean_q_low", "mean_q_high"]
        frame = table[columns].assign(kind=np.where(raw[table.index], "raw", "calibrated"))
        frame.insert(0, "kind", frame.pop("kind"))
        frame.insert(0, "label", table["model"].map(names))
        frame = frame[(frame["n"] > 0) & frame["mean_p"].notna() & frame["mean_q"].notna()]
        if frame.empty:
            raise Absent("reliability.csv has no bin that holds a query")
        frame = frame.drop_duplicates(["label", "kind", "calibrator", "lower"])
        return _worst_first(frame).assign(note=results.setting).reset_index(drop=True)

    def height_in(self, frame: pd.DataFrame) -> float:
        """One row of panels for each four models."""
        return 0.72 + PANEL_IN * float(-(-frame["label"].nunique() // COLUMNS))

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw one panel per model, in the frame's order: the worst calibrated first."""
        top = headline(fig, "Predicted against observed quality", frame["note"].iloc[0])
        width, height = fig.get_size_inches()
        models = frame["label"].unique().tolist()
        columns = min(COLUMNS, len(models))
        n_row = -(-len(models) // columns)
        grid = fig.add_gridspec(
            n_row, columns, left=0.42 / width, right=1 - 0.06 / width, bottom=0.36 / height, top=top - 0.14 / height,
            wspace=0.1, hspace=0.2,
        )  # fmt: skip
        for i, model in enumerate(models):
            ax = fig.add_subplot(grid[i // columns, i % columns])
            _panel(ax, frame[frame["label"] == model], model)
            ax.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= len(models))
        handles = [
            Line2D([], [], color=c, marker=m, linestyle=s, markeredgecolor="white", markeredgewidth=0.4, label=text)
            for kind, c, m, s, text in _SERIES
            if (frame["kind"] == kind).any()
        ]
        handles.append(Line2D([], [], color="#222222", linewidth=0.6, label="perfect"))
        fig.legend(handles=handles, loc="upper right", ncols=3, bbox_to_anchor=(1 - 0.06 / width, 1 - 0.02 / height))
        fig.text(
            0.42 / width + 0.5 * (1 - 0.48 / width),
            0.06 / height,
            "Predicted quality",
            ha="center",
            va="bottom",
            fontsize=7,
        )
        fig.text(0.06 / width, 0.5, "Observed mean quality", ha="left", va="center", rotation=90, fontsize=7)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what the line, the bars and the number are."""
        used = sorted(set(frame.loc[frame["kind"] == "calibrated", "calibrator"]))
        how = f" (calibrator: {', '.join(used)})" if used else ""
        return (
            f"Observed mean quality of each model within bins of the prediction, before and after calibration{how}; "
            "on the diagonal a prediction means what it says. Bars at the bottom and the size of the marks show the "
            "share of queries in each bin; lines join the bins that hold at least 2 %, whose 95 % intervals by query "
            "are drawn. ECE: mean distance to the diagonal, weighted by queries; it is never 0 on a finite sample."
        )


def _worst_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Order the models by their calibration error, largest first: after calibration, or before where that is all."""
    used = frame[frame["kind"] == ("calibrated" if (frame["kind"] == "calibrated").any() else "raw")]
    gap = (used["n"] * (used["mean_p"] - used["mean_q"]).abs()).groupby(used["label"]).sum()
    error = gap / used["n"].groupby(used["label"]).sum()
    return frame.iloc[np.argsort(-frame["label"].map(error).fillna(-1.0).to_numpy(), kind="stable")]


def _panel(ax: Axes, frame: pd.DataFrame, model: str) -> None:
    ax.plot([0, 1], [0, 1], color="#222222", linewidth=0.6, zorder=1.5)
    eces = []
    for kind, colour, marker, line, _ in _SERIES:
        part = frame[frame["kind"] == kind].sort_values("lower")
        if part.empty:
            continue
        share = (part["n"] / part["n"].sum()).to_numpy(float)
        wide = (part["upper"] - part["lower"]).to_numpy(float)
        shift = -0.22 if kind == "raw" else 0.22
        middle = (part["lower"] + part["upper"]).to_numpy(float) / 2
        ax.bar(middle + shift * wide, 0.3 * share, 0.42 * wide, color=colour, alpha=0.35, linewidth=0, zorder=1.2)
        sure = part[share >= 0.02]
        ax.plot(sure["mean_p"], sure["mean_q"], color=colour, linestyle=line, linewidth=0.7, alpha=0.55, zorder=3)
        ends = np.abs(sure[["mean_q_low", "mean_q_high"]].to_numpy(float).T - sure["mean_q"].to_numpy(float))
        ax.errorbar(
            sure["mean_p"], sure["mean_q"], ends, color=colour, linestyle="none", elinewidth=0.6, alpha=0.6, zorder=2.5
        )
        ax.scatter(
            part["mean_p"], part["mean_q"], 3.0 + 70.0 * share, color=colour, marker=marker, edgecolor="white",
            linewidth=0.3, zorder=3 if kind == "raw" else 4,
        )  # fmt: skip
        eces.append(f"{float((share * (part['mean_p'] - part['mean_q']).abs()).sum()):.3f}".removeprefix("0"))
    n = int(frame.groupby("kind")["n"].sum().max())
    ax.text(0.03, 0.97, f"ECE {' → '.join(eces)}", transform=ax.transAxes, va="top", fontsize=6, color="#222222")
    ax.text(0.03, 0.86, f"n = {n:,}", transform=ax.transAxes, va="top", fontsize=5.8, color="#666666")
    ax.set_title(model, fontsize=6.6, fontweight="normal", pad=2.5)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
