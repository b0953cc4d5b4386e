"""Many experiments side by side: what a sweep's grids come to, as tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from dacr.metrics.budgets import headlines
from dacr.metrics.frontier import lambda_frontier_area
from dacr.report import style
from dacr.report.figure import Figure, headline
from dacr.report.folder import Absent, Results
from dacr.report.make import write
from dacr.report.table import Table, number
from dacr.report.tables import write_table

AXIS = "axis_"
MEASURES = {
    "area": "Frontier area",
    "budget_quality": "Mean quality over enforced budgets",
}
COLUMNS = 4


def summary_of(by_seed: pd.DataFrame, singles: pd.DataFrame, price_late: float) -> pd.DataFrame:
    """Return one row per router of one experiment.

    Parameters
    ----------
    by_seed : DataFrame
        ``metrics_by_seed.csv``.
    singles : DataFrame
        ``singles.csv``: the cost range over which areas are taken.
    price_late : float
        Price of a late answer in quality, for ``net_area``.

    Returns
    -------
    DataFrame
        ``policy``, ``n_seed``; ``area`` and ``net_area`` (hull area of the frontier, in quality; less priced
        lateness), ``budget_quality`` (mean over enforced budgets of money), each the mean over runs with ``_sd``
        between runs; ``worst_used`` (largest share of such a budget that any run spent). NaN where there is nothing.
    """
    rows = []
    net = singles["mean_quality"] - price_late * singles["slo_violation_rate"]
    for router, own in by_seed.groupby("policy", sort=False):
        areas, nets = [], []
        for _, run in own[~own["enforced"]].groupby("seed"):
            cost, quality = run["mean_cost"], run["mean_quality"]
            areas.append(lambda_frontier_area(cost, quality, singles["mean_cost"], singles["mean_quality"]))
            priced = quality - price_late * run["slo_violation_rate"]
            nets.append(lambda_frontier_area(cost, priced, singles["mean_cost"], net))
        budgets = headlines(own)
        kept = budgets["mean_quality"].tolist()
        row = {"policy": router, "n_seed": own["seed"].nunique()}
        for name, values in (("area", areas), ("net_area", nets), ("budget_quality", kept)):
            row |= {name: float(np.mean(values)) if values else np.nan}
            row |= {f"{name}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan}
        rows.append(row | {"worst_used": float(budgets["worst_ratio"].max()) if kept else np.nan})
    return pd.DataFrame(rows)


def write_across(results_dir: Path) -> list[str]:
    """Write tables and figures of every grid from ``across.csv``; return their names."""
    results = Results(results_dir, {})
    folder = results_dir / "figures"
    made = []
    for grid in dict.fromkeys(results.table("across.csv")["grid"]):
        for measure in MEASURES:
            figure = Across(str(grid), measure)
            try:
                write(figure, results, folder)
            except Absent:
                continue
            write_table(table_of(figure.frame(results), figure.name, f"{MEASURES[measure]}, {grid}"), results_dir)
            made.append(figure.name)
    return made


class Across(Figure):
    """One measure of all routers in all experiments of a grid."""

    size_in = (style.DOUBLE_IN, 2.6)

    def __init__(self, grid: str, measure: str) -> None:
        self.grid, self.measure = grid, measure
        self.name = f"across_{grid}_{measure}"  # type: ignore[misc]

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per panel and line: ``value``, ``sd`` between runs, ``n_seed``.

        A panel is an experiment and a line a router; where there is one router, a line is a value of the last axis.
        """
        table = results.table("across.csv")
        table = table[(table["grid"] == self.grid) & table[self.measure].notna()].reset_index(drop=True)
        if table.empty:
            raise Absent(f"the grid {self.grid} has no {self.measure}")
        axes = [c for c in table.columns if c.startswith(AXIS) and table[c].nunique(dropna=False) > 1]
        table = table.assign(**{name: [_text(name, value) for value in table[name]] for name in axes})
        kind = "router"
        if table["policy"].nunique() == 1 and axes:
            last = axes.pop()
            line, kind = table[last], last.removeprefix(AXIS)
        else:
            line = table["policy"]
        panel = table["experiment"] if not axes else table[axes].agg(" · ".join, axis=1)
        order = {name: k for k, name in enumerate(style.in_order(line) if kind == "router" else dict.fromkeys(line))}
        made = pd.DataFrame(
            {
                "panel": panel,
                "line": line,
                "kind": kind,
                "value": table[self.measure],
                "sd": table[f"{self.measure}_sd"],
                "n_seed": table["n_seed"],
                # The same requests in every panel can share a scale; areas on other domains are other numbers.
                "shared": not any(name in (f"{AXIS}ood_holdout", f"{AXIS}test_size") for name in axes),
            }
        )
        place = {name: k for k, name in enumerate(dict.fromkeys(panel))}
        ranks = np.lexsort([made["line"].map(order), made["panel"].map(place)])
        return made.iloc[ranks].reset_index(drop=True)

    def height_in(self, frame: pd.DataFrame) -> float:
        """A row of panels for each four experiments, a line for each router."""
        n_row = -(-len(set(frame["panel"])) // COLUMNS)
        return 0.55 + n_row * (0.42 + 0.125 * float(len(set(frame["line"]))))

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw dots with bars of one standard deviation between runs; each panel has its own scale."""
        seeds = int(frame["n_seed"].max())
        shared = str(frame["shared"].iloc[0]) == "True"
        own_scale = "" if shared or frame["panel"].nunique() == 1 else " · each panel has its own scale"
        top = headline(fig, MEASURES[self.measure], f"{self.grid} · {seeds} stream orders{own_scale}")
        spreads = frame["sd"].fillna(0.0)
        low, high = float((frame["value"] - spreads).min()), float((frame["value"] + spreads).max())
        margin = 0.06 * (high - low)
        lines = list(dict.fromkeys(frame["line"]))
        routers = frame["kind"].iloc[0] == "router"
        labels = [style.look(name).label if routers else name for name in lines]
        for panel, ax in _panels(fig, frame, top, max(map(len, labels))):
            own = frame[frame["panel"] == panel].set_index("line")
            for y, name in enumerate(lines):
                if name not in own.index:
                    continue
                look = style.look(name) if routers else style.look("dacr")
                point = own.loc[name]
                marker = {key: value for key, value in look.kwargs().items() if key.startswith("marker")}
                spread = 0.0 if np.isnan(point["sd"]) else float(point["sd"])
                ax.errorbar(
                    point["value"], y, xerr=spread, color=look.colour, elinewidth=0.8, linestyle="none",
                    **{**marker, "marker": look.marker or "|", "markersize": 4},
                )  # fmt: skip
            ax.set_ylim(len(lines) - 0.4, -0.6)
            ax.margins(x=0.08)
            if shared and margin > 0:
                ax.set_xlim(low - margin, high + margin)
            ax.set_yticks(range(len(lines)), labels, fontsize=6)
            ax.set_title(_short(panel), fontsize=6.4, fontweight="normal", pad=2.5)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what dots and bars are."""
        what = {
            "area": "Mean height of the frontier's hull between the cheapest and the dearest single model, in quality",
            "budget_quality": "Mean quality over budgets that were enforced",
        }[self.measure]
        return (
            f"{what}; dots are means over {int(frame['n_seed'].max())} stream orders, bars one standard deviation "
            "between orders (they say nothing of the sample of queries)."
        )


def _panels(fig: Canvas, frame: pd.DataFrame, top: float, letters: int) -> Iterator[tuple[str, Axes]]:
    names = list(dict.fromkeys(frame["panel"]))
    width, height = fig.get_size_inches()
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    grid = fig.add_gridspec(
        rows, columns, left=(0.12 + 0.047 * letters) / width, right=1 - 0.12 / width, bottom=0.24 / height,
        top=top - 0.16 / height, wspace=0.12, hspace=0.42 / (0.125 * frame["line"].nunique()),
    )  # fmt: skip
    for k, name in enumerate(names):
        ax = fig.add_subplot(grid[k // columns, k % columns])
        yield str(name), ax
        ax.tick_params(axis="y", length=0, labelleft=k % columns == 0)
        ax.tick_params(axis="x", labelsize=5.6)
        ax.locator_params(axis="x", nbins=4)


def _text(axis: str, value: object) -> str:
    """Return a value of an axis as a reader calls it; an empty one has a name of its own."""
    if value == "" or value != value:
        return {"ood_holdout": "in distribution", "protocol": "plain stream"}.get(axis.removeprefix(AXIS), "none")
    name = f"{value:g}" if isinstance(value, float) else str(value)
    numeric = isinstance(value, (int, float))
    return f"{axis.removeprefix(AXIS).removeprefix('dacr_')} {name}" if numeric else name


def _short(text: str, longest: int = 27) -> str:
    """Return what fits above a panel of four in a row."""
    text = text.replace("model=", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def table_of(frame: pd.DataFrame, name: str, title: str) -> Table:
    """Return a figure's numbers as a table: lines below each other, or panels where there are more of them."""
    wide = frame.pivot(index="line", columns="panel", values="value")
    wide = wide.loc[list(dict.fromkeys(frame["line"])), list(dict.fromkeys(frame["panel"]))]
    best = wide.eq(wide.max(axis=0))
    if wide.shape[1] > 6:
        wide, best = wide.T, best.T
    text = wide.map(number)
    text.insert(0, "", text.index.map(str))
    best.insert(0, "", False)
    notes = [f"Means over {int(frame['n_seed'].max())} stream orders; bold: the highest, which may be chance."]
    return Table(name, title, text, best.to_numpy(bool), notes)
