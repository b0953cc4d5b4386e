"""Reliability diagrams by family of domains: before calibration, after it, and with feedback."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.figure import Figure, headline
from dacr.report.folder import Absent, Results

NARROW = 2
"""So many panels fit into one column of a paper."""

MOST = 12
WIDEST_IN = 2.3
"""Height that a panel has at most, in inches."""

FEWEST = 20
"""Pairs that a bin needs to be drawn."""

_SERIES = {
    "raw": (style.GREY, "s", "raw prediction"),
    "calibrated": (style.BLUE, "D", "calibrated offline"),
    "online": (style.VERMILLION, "o", "DACR, before each decision"),
}
_TICKS = [0, 0.25, 0.5, 0.75, 1]


@figures.register("reliability_by_family")
class ReliabilityByFamily(Figure):
    """Can predictions be believed in every family of domains, before and after?"""

    size_in: ClassVar[tuple[float, float]] = (style.DOUBLE_IN, 5.3)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per family, series and bin that holds pairs: all pairs (query, model), pooled over models."""
        table = results.table("reliability.csv")
        table = table[(table["model"] == "all") & (table["domain"] != "all") & (table["n"] > 0)]
        if table.empty:
            raise Absent("reliability.csv has no rows of families")
        own = str(results.config.get("calibrator", ""))
        offline = table.loc[table["stage"] == "offline", "calibrator"].unique().tolist()
        shown = own if own in offline else (offline or [""])[0]
        kind = np.select(
            [
                table["stage"] == "raw",
                (table["stage"] == "offline") & (table["calibrator"] == shown),
                (table["stage"] == "online_counterfactual") & (table["calibrator"] == "dacr"),
            ],
            list(_SERIES),
            default="",
        )
        columns = ["calibrator", "lower", "upper", "n", "mean_p", "mean_q", "mean_q_low", "mean_q_high"]
        frame = table[columns].assign(label=table["domain"].str.removeprefix("family:"), kind=kind)
        frame = frame[frame["kind"] != ""]
        sizes = frame[frame["kind"] == "raw"].groupby("label")["n"].sum().sort_values(ascending=False, kind="stable")
        largest = sizes.index[:MOST].tolist()
        frame = frame[frame["label"].isin(largest)]
        order = frame["label"].map(largest.index) * len(_SERIES) + frame["kind"].map(list(_SERIES).index)
        frame = frame.iloc[np.lexsort((frame["lower"], order))].reset_index(drop=True)
        return frame.assign(families=len(sizes), note=results.setting)

    def width_in(self, frame: pd.DataFrame) -> float:
        """One column of a paper for one or two families, both for more."""
        return style.COLUMN_IN if frame["label"].nunique() <= NARROW else style.DOUBLE_IN

    def height_in(self, frame: pd.DataFrame) -> float:
        """A row of panels, about as high as wide, for each few families; a narrow figure's legend takes two lines."""
        n = int(frame["label"].nunique())
        columns = _columns(n)
        panel = (self.width_in(frame) - 0.48) / columns
        return 0.95 + 0.15 * (n <= NARROW) + min(panel + 0.05, WIDEST_IN) * -(-n // columns)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw one panel per family, the largest first."""
        names = frame["label"].unique().tolist()
        narrow = len(names) <= NARROW
        title = "Predicted against observed quality" + ("" if narrow else ", by family of domains")
        top = headline(fig, title, frame["note"].iloc[0])
        width, height = fig.get_size_inches()
        columns = _columns(len(names))
        n_row = -(-len(names) // columns)
        right = 1 - 0.06 / width
        grid = fig.add_gridspec(
            n_row, columns, left=0.42 / width, right=right, bottom=0.36 / height,
            top=top - (0.51 if narrow else 0.36) / height, wspace=0.1, hspace=0.24,
        )  # fmt: skip
        for i, name in enumerate(names):
            ax = fig.add_subplot(grid[i // columns, i % columns])
            _panel(ax, frame[frame["label"] == name], name)
            ax.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= len(names))
        handles = [
            Line2D([], [], color=c, marker=m, markersize=4, label=text)
            for kind, (c, m, text) in _SERIES.items()
            if (frame["kind"] == kind).any()
        ]
        handles.append(Line2D([], [], color="#222222", linewidth=0.6, label="perfect"))
        where = (0.38 / width, top + 0.03 / height)
        fig.legend(handles=handles, loc="upper left", ncols=2 if narrow else 4, bbox_to_anchor=where)
        fig.text((0.42 / width + right) / 2, 0.06 / height, "Predicted quality", ha="center", va="bottom", fontsize=7)
        middle = (0.36 / height + top - (0.51 if narrow else 0.36) / height) / 2
        fig.text(0.06 / width, middle, "Observed mean quality", ha="left", va="center", rotation=90, fontsize=7)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what marks, bars and numbers are."""
        used = ", ".join(frame.loc[frame["kind"] == "calibrated", "calibrator"].unique())
        left_out = int(frame["families"].iloc[0]) - frame["label"].nunique()
        return (
            "Observed mean quality within bins of the prediction, all pairs of query and model in a family together: "
            f"raw, calibrated offline{f' ({used})' if used else ''}, and as DACR believed before each decision. On the "
            "diagonal a prediction means what it says. Bars through marks: 95 % intervals by query; bars at the bottom "
            f"and the size of the marks: shares of the pairs; bins of fewer than {FEWEST} pairs are left out. ECE: "
            "mean distance to the diagonal, in the order of the legend; n: queries times models."
            + (f" The {left_out} smallest families are not shown." if left_out > 0 else "")
        )


def _columns(n: int) -> int:
    """Return how many panels stand in a row, so that rows are full or nearly so.

    Examples
    --------
    >>> [_columns(n) for n in range(1, 13)]
    [1, 2, 3, 4, 3, 3, 4, 4, 3, 4, 4, 4]
    """
    return min(n, 3 if n in (5, 6, 9) else 4)


def _panel(ax: Axes, frame: pd.DataFrame, name: str) -> None:
    ax.plot([0, 1], [0, 1], color="#222222", linewidth=0.6, zorder=1.5)
    eces = []
    present = [kind for kind in _SERIES if (frame["kind"] == kind).any()]
    for place, kind in enumerate(present):
        colour, marker, _ = _SERIES[kind]
        part = frame[frame["kind"] == kind]
        share = (part["n"] / part["n"].sum()).to_numpy(float)
        eces.append(f"{float((share * (part['mean_p'] - part['mean_q']).abs()).sum()):.3f}".removeprefix("0"))
        wide = (part["upper"] - part["lower"]).to_numpy(float)
        left = part["lower"].to_numpy(float) + (place + 0.5) / len(present) * wide
        ax.bar(left, 0.3 * share, 0.9 / len(present) * wide, color=colour, alpha=0.3, linewidth=0, zorder=1.2)
        enough = (part["n"] >= FEWEST).to_numpy()
        part, share = part[enough], share[enough]
        ends = np.abs(part[["mean_q_low", "mean_q_high"]].to_numpy(float).T - part["mean_q"].to_numpy(float))
        ax.errorbar(
            part["mean_p"],
            part["mean_q"],
            ends,
            color=colour,
            linewidth=0.7,
            elinewidth=0.6,
            alpha=0.8,
            zorder=2 + place,
        )
        ax.scatter(
            part["mean_p"], part["mean_q"], 3.0 + 40.0 * share, color=colour, marker=marker, edgecolor="white",
            linewidth=0.3, zorder=5 + place,
        )  # fmt: skip
    n = int(frame[frame["kind"] == present[0]]["n"].sum())
    ax.text(0.03, 0.97, f"ECE {' → '.join(eces)}", transform=ax.transAxes, va="top", fontsize=5.8, color="#222222")
    ax.text(0.03, 0.87, f"n = {n:,}", transform=ax.transAxes, va="top", fontsize=5.8, color="#666666")
    ax.set_title(name, fontsize=6.6, fontweight="normal", pad=2.5)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xticks(_TICKS, ["0", ".25", ".5", ".75", "1"])
    ax.set_yticks(_TICKS, ["0", ".25", ".5", ".75", "1"])
