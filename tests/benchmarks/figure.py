"""The figure: processor time and peak memory over the number of queries."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from dacr.core import files
from dacr.report import style
from tests.benchmarks.exponents import totals

_LINES = (
    (style.BLUE, "s"), (style.GREEN, "v"), (style.SKY, "^"), (style.ORANGE, "D"), (style.PURPLE, "P"),
    (style.GREY, "X"),
)  # fmt: skip
SHOWN = 6
"""Stages with lines of their own: those that take longest; the others are part of the sum alone."""


def frame(stages: pd.DataFrame) -> pd.DataFrame:
    """Return the least over repeats of each stage and of all: ``stage, n_query, processor_s, peak_mib``."""
    both = pd.concat([stages, totals(stages)], ignore_index=True)
    return both.groupby(["stage", "n_query"], sort=False)[["processor_s", "peak_mib"]].min().reset_index()


def draw_time(shown: pd.DataFrame, ax: Axes) -> None:
    """Draw processor time of the longest stages and of all, with a line of slope 1."""
    largest = shown[shown["n_query"] == shown["n_query"].max()].sort_values("processor_s", ascending=False)
    names = [name for name in largest["stage"] if name != "all stages"][:SHOWN]
    whole = shown[shown["stage"] == "all stages"].sort_values("n_query")
    ax.plot(whole["n_query"], whole["processor_s"], color=style.VERMILLION, marker="o", label="all stages", lw=1.8)
    for name, (colour, marker) in zip(names, _LINES, strict=False):
        own = shown[shown["stage"] == name].sort_values("n_query")
        ax.plot(own["n_query"], own["processor_s"], color=colour, marker=marker, label=name, ms=3.6, lw=0.9)
    _linear(whole["n_query"].to_numpy(), whole["processor_s"].to_numpy(), ax)
    _log_axes(ax, whole["n_query"].to_numpy(), "processor time (s)")


def draw_memory(shown: pd.DataFrame, ax: Axes) -> None:
    """Draw the peak of the process."""
    whole = shown[shown["stage"] == "all stages"].sort_values("n_query")
    ax.plot(whole["n_query"], whole["peak_mib"] / 1024, color=style.VERMILLION, marker="o", lw=1.8)
    _linear(whole["n_query"].to_numpy(), whole["peak_mib"].to_numpy() / 1024, ax)
    _log_axes(ax, whole["n_query"].to_numpy(), "largest resident memory (GiB)")


def _linear(n: np.ndarray, y: np.ndarray, ax: Axes) -> None:
    """Draw linear growth through the last point."""
    ax.plot(n, y[-1] * n / n[-1], color=style.GREY, lw=0.8, ls=style.DOTTED, label="linear")


def _log_axes(ax: Axes, n: np.ndarray, what: str) -> None:
    """Set both axes to logarithms with plain numbers at whole powers of ten (twos and fives where there are few)."""
    ax.set(xscale="log", yscale="log", xlabel="queries (x 11 models)", ylabel=what)
    ax.xaxis.set_major_locator(FixedLocator([float(size) for size in n if f"{size:g}"[0] == "1"] or n.tolist()))
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())


def _short(value: float) -> str:
    """Return ``10k``, ``1M``."""
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"


def save(stages: pd.DataFrame, target: str | Path) -> None:
    """Write the figure (PNG) and the numbers behind it (CSV of the same name)."""
    shown = frame(stages)
    with style.paper():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(style.DOUBLE_IN, 3.1), width_ratios=[1.35, 1], layout="constrained"
        )
        draw_time(shown, left)
        draw_memory(shown, right)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=7)
        with files.atomic_path(target) as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
        plt.close(figure)
    files.write_text(Path(target).with_suffix(".csv"), shown.to_csv(index=False, float_format="%.6g"))
