"""Reliability diagrams, by model and by family of domains: what was predicted against what happened."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.figure import Figure, fold, headline, legend_below, panels
from dacr.report.folder import Absent, Results, short_names

COLUMNS = 4
PANEL_IN = 1.62
NARROW = 2
"""So many panels fit into one column of a paper."""

MOST = 15
"""Panels at most, of models and of families, besides that of all."""

FEWEST = 20
"""Predictions that a bin needs to be drawn; the fullest bin is drawn anyway."""

ALL = "all models"

SERIES = {
    "raw": (style.GREY, "s", "raw prediction"),
    "calibrated": (style.BLUE, "D", "calibrated offline"),
    "online": (style.VERMILLION, "o", "DACR, before each decision"),
}
_SHOWN = ["calibrator", "lower", "upper", "n", "mean_p", "mean_q", "mean_q_low", "mean_q_high"]
_TICKS = [0, 0.25, 0.5, 0.75, 1]


class _Diagrams(Figure):
    """A panel per label of the frame, in the frame's order."""

    size_in = (style.DOUBLE_IN, 5.3)

    def width_in(self, frame: pd.DataFrame) -> float:
        """One column of a paper for one or two panels, both for more."""
        return style.COLUMN_IN if frame["label"].nunique() <= NARROW else style.DOUBLE_IN

    def height_in(self, frame: pd.DataFrame) -> float:
        """A row of panels, about as high as wide, for each few labels; more where names take several lines."""
        n = int(frame["label"].nunique())
        columns = _columns(n)
        longest = max(fold(name, self._letters(frame)).count("\n") for name in frame["label"].unique())
        panel = min((self.width_in(frame) - 0.48) / columns, 2.3) + 0.1 * longest
        return 0.95 + 0.15 * (n <= NARROW) + (panel + 0.05) * -(-n // columns)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw marks and intervals, and below them the share of each bin."""
        names = frame["label"].unique().tolist()
        headline(fig, "Predicted against observed quality", frame["note"].iloc[0])
        columns = _columns(len(names))
        for i, (ax, name) in enumerate(zip(panels(fig, len(names), columns), names, strict=True)):
            _panel(ax, frame[frame["label"] == name], fold(name, self._letters(frame)))
            lowest = i + columns >= len(names)
            ax.tick_params(labelleft=i % columns == 0, labelbottom=lowest)
            ax.set_xlabel("Predicted quality" if lowest else "")
        handles = [
            Line2D([], [], color=colour, marker=marker, markersize=4, label=text)
            for kind, (colour, marker, text) in SERIES.items()
            if (frame["kind"] == kind).any()
        ]
        fig.supylabel("Observed mean quality")
        handles.append(Line2D([], [], color="#222222", linewidth=0.6, label="perfect"))
        legend_below(fig, handles, 2 if len(names) <= NARROW else 4)

    def _letters(self, frame: pd.DataFrame) -> int:
        return int(self.width_in(frame) / _columns(int(frame["label"].nunique())) / 0.062)


@figures.register("reliability")
class Reliability(_Diagrams):
    """When a model is predicted to be right 70 % of the time, is it?"""

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per model, series (raw or calibrated) and bin that holds queries; worst calibrated first."""
        table = results.table("reliability.csv")
        table = table[(table["domain"] == "all") & (table["n"] > 0)]
        raw = table["stage"] == "raw"
        shown = _calibrator(results, table.loc[~raw, "calibrator"])
        table = table[raw | (table["calibrator"] == shown)]
        if table.empty:
            raise Absent("reliability.csv has no bin that holds a query")
        names = short_names([model for model in table["model"].unique() if model != "all"]) | {"all": ALL}
        frame = table[_SHOWN].dropna(subset=["mean_p", "mean_q"])
        frame.insert(0, "kind", np.where(raw[frame.index], "raw", "calibrated"))
        frame.insert(0, "label", table["model"].map(names))
        frame = frame.drop_duplicates(["label", "kind", "calibrator", "lower"])
        frame = _worst_first(frame)
        labels = [label for label in frame["label"].unique() if label != ALL]
        frame = frame[frame["label"].isin([*labels[:MOST], ALL])]
        left_out = max(len(labels) - MOST, 0)
        return frame.assign(left_out=left_out, note=results.setting).reset_index(drop=True)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what the line, the bars and the number are."""
        used = sorted(set(frame.loc[frame["kind"] == "calibrated", "calibrator"]))
        left_out = int(frame["left_out"].iloc[0])
        how = f" (calibrator: {', '.join(used)})" if used else ""
        return (
            f"Observed mean quality of each model within bins of the prediction, before and after calibration{how}; "
            f"on the diagonal a prediction means what it says. {_MARKS} ECE: mean distance to the diagonal, weighted "
            "by queries; it is never 0 on a finite sample. The worst come first."
            + (f" The {left_out} best calibrated models are not shown." if left_out else "")
        )


@figures.register("reliability_by_family")
class ReliabilityByFamily(_Diagrams):
    """Can predictions be believed in every family of domains, before and after?"""

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per family, series and bin that holds pairs: all pairs (query, model), pooled over models."""
        table = results.table("reliability.csv")
        table = table[(table["model"] == "all") & (table["domain"] != "all") & (table["n"] > 0)]
        if table.empty:
            raise Absent("reliability.csv has no rows of families")
        offline = table["stage"] == "offline"
        shown = _calibrator(results, table.loc[offline, "calibrator"])
        series = [
            table["stage"] == "raw",
            offline & (table["calibrator"] == shown),
            (table["stage"] == "online_counterfactual") & (table["calibrator"] == "dacr"),
        ]
        kind = np.select(series, list(SERIES), default="")
        frame = table[_SHOWN].assign(label=table["domain"].str.removeprefix("family:"), kind=kind)
        frame = frame[frame["kind"] != ""]
        sizes = frame[frame["kind"] == "raw"].groupby("label")["n"].sum().sort_values(ascending=False, kind="stable")
        largest = sizes.index[:MOST].tolist()
        frame = frame[frame["label"].isin(largest)]
        order = frame["label"].map(largest.index) * len(SERIES) + frame["kind"].map(list(SERIES).index)
        frame = frame.iloc[np.lexsort((frame["lower"], order))].reset_index(drop=True)
        return frame.assign(families=len(sizes), note=results.setting)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what marks, bars and numbers are."""
        used = ", ".join(frame.loc[frame["kind"] == "calibrated", "calibrator"].unique())
        left_out = int(frame["families"].iloc[0]) - frame["label"].nunique()
        return (
            "Observed mean quality within bins of the prediction, all pairs of query and model in a family together: "
            f"raw, calibrated offline{f' ({used})' if used else ''}, and as DACR believed before each decision. On the "
            f"diagonal a prediction means what it says. {_MARKS} ECE: mean distance to the diagonal, in the order of "
            "the legend; n: queries times models."
            + (f" The {left_out} smallest families are not shown." if left_out > 0 else "")
        )


_MARKS = (
    "Bars at the bottom and the size of the marks show the share of each bin; marks, with 95 % intervals by query, "
    f"stand for bins that hold at least {FEWEST} predictions."
)


def _calibrator(results: Results, names: pd.Series) -> str:
    """Return the calibrator that the experiment used, or the first there is."""
    own = str(results.config.get("calibrator", ""))
    return own if names.eq(own).any() else next(iter(names), "")


def _worst_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Order the models by their calibration error, largest first, all together last.

    The error is that after calibration, or before where that is all there is.
    """
    used = frame[frame["kind"] == ("calibrated" if (frame["kind"] == "calibrated").any() else "raw")]
    gap = (used["n"] * (used["mean_p"] - used["mean_q"]).abs()).groupby(used["label"]).sum()
    error = gap / used["n"].groupby(used["label"]).sum()
    error.loc[error.index == ALL] = -2.0
    return frame.iloc[np.argsort(-frame["label"].map(error).fillna(-1.0).to_numpy(), kind="stable")]


def _columns(n: int) -> int:
    """Return how many panels stand in a row, so that rows are full or nearly so.

    Examples
    --------
    >>> [_columns(n) for n in range(1, 13)]
    [1, 2, 3, 4, 3, 3, 4, 4, 3, 4, 4, 4]
    """
    return min(n, 3 if n in (5, 6, 9) else COLUMNS)


def _panel(ax: Axes, frame: pd.DataFrame, name: str) -> None:
    ax.plot([0, 1], [0, 1], color="#222222", linewidth=0.6, zorder=1.5)
    eces = []
    present = [kind for kind in SERIES if (frame["kind"] == kind).any()]
    for place, kind in enumerate(present):
        colour, marker, _ = SERIES[kind]
        part = frame[frame["kind"] == kind].sort_values("lower")
        share = (part["n"] / part["n"].sum()).to_numpy(float)
        eces.append(f"{float((share * (part['mean_p'] - part['mean_q']).abs()).sum()):.3f}".removeprefix("0"))
        wide = (part["upper"] - part["lower"]).to_numpy(float)
        left = part["lower"].to_numpy(float) + (place + 0.5) / len(present) * wide
        ax.bar(left, 0.3 * share, 0.9 / len(present) * wide, color=colour, alpha=0.3, linewidth=0, zorder=1.2)
        enough = part["n"].to_numpy() >= min(FEWEST, part["n"].max())
        part, share = part[enough], share[enough]
        ends = np.abs(part[["mean_q_low", "mean_q_high"]].to_numpy(float).T - part["mean_q"].to_numpy(float))
        ax.errorbar(
            part["mean_p"], part["mean_q"], ends, color=colour, linewidth=0.7, elinewidth=0.6, alpha=0.8,
            zorder=2 + place,
        )  # fmt: skip
        ax.scatter(
            part["mean_p"], part["mean_q"], 3.0 + 40.0 * share, color=colour, marker=marker, edgecolor="white",
            linewidth=0.3, zorder=5 + place,
        )  # fmt: skip
    n = int(frame[frame["kind"] == present[0]]["n"].sum())
    ax.text(0.03, 0.97, f"ECE {' → '.join(eces)}", transform=ax.transAxes, va="top", fontsize=5.8, color="#222222")
    ax.text(0.03, 0.87, f"n = {n:,}", transform=ax.transAxes, va="top", fontsize=5.8, color="#666666")
    ax.set_title(name, fontsize=6.6, fontweight="normal", pad=2.5)
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=_TICKS, yticks=_TICKS)
    ax.set_xticklabels(["0", ".25", ".5", ".75", "1"])
    ax.set_yticklabels(["0", ".25", ".5", ".75", "1"])
