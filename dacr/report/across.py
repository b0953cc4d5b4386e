"""Many experiments side by side: what a sweep's grids come to, as tables and figures."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.report import style
from dacr.report.figure import Figure, fold, headline, panels
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
        n_row = -(-frame["panel"].nunique() // COLUMNS)
        n_line = sum(fold(str(name)).count("\n") + 1 for name in frame["line"].unique())
        return float(0.55 + n_row * (0.5 + 0.125 * n_line))

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw dots with bars of one standard deviation between runs; each panel has its own scale."""
        shared = str(frame["shared"].iloc[0]) == "True"
        names, lines = list(dict.fromkeys(frame["panel"])), list(dict.fromkeys(frame["line"]))
        own_scale = "" if shared or len(names) == 1 else " · each panel has its own scale"
        setting = f"{self.grid} · {int(frame['n_seed'].max())} stream orders{own_scale}"
        headline(fig, MEASURES[self.measure], setting)
        routers = frame["kind"].iloc[0] == "router"
        looks = [style.look(name if routers else "dacr") for name in lines]
        labels = [fold(look.label if routers else str(name)) for look, name in zip(looks, lines, strict=True)]
        spread = frame["sd"].fillna(0.0)
        low, high = float((frame["value"] - spread).min()), float((frame["value"] + spread).max())
        columns = min(COLUMNS, len(names))
        for k, (ax, panel) in enumerate(zip(panels(fig, len(names), columns), names, strict=True)):
            own = frame[frame["panel"] == panel].set_index("line").reindex(lines).fillna({"sd": 0.0})
            for y, (look, value, sd) in enumerate(zip(looks, own["value"], own["sd"], strict=True)):
                marker = {key: value for key, value in look.kwargs().items() if key.startswith("marker")}
                marker |= {"marker": look.marker or "|", "markersize": 4, "color": look.colour}
                ax.errorbar(value, y, xerr=sd, elinewidth=0.8, linestyle="none", **marker)
            ax.margins(x=0.08)
            if shared and high > low:
                ax.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
            ax.set(ylim=(len(lines) - 0.4, -0.6), yticks=range(len(lines)))
            ax.set_yticklabels(labels, fontsize=6)
            ax.set_title(fold(str(panel).replace("model=", ""), 27), fontsize=6.4, fontweight="normal", pad=2.5)
            ax.tick_params(axis="y", length=0, labelleft=k % columns == 0)
            ax.tick_params(axis="x", labelsize=5.6)
            ax.locator_params(axis="x", nbins=4)

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


def _text(axis: str, value: object) -> str:
    """Return a value of an axis as a reader calls it; an empty one has a name of its own."""
    if value == "" or value != value:
        return {"ood_holdout": "in distribution", "protocol": "plain stream"}.get(axis.removeprefix(AXIS), "none")
    name = f"{value:g}" if isinstance(value, float) else str(value)
    numeric = isinstance(value, (int, float))
    return f"{axis.removeprefix(AXIS).removeprefix('dacr_')} {name}" if numeric else name


def table_of(frame: pd.DataFrame, name: str, title: str) -> Table:
    """Return a figure's numbers as a table: lines below each other, or panels where there are more of them."""
    wide = frame.pivot(index="line", columns="panel", values="value")
    wide = wide.loc[list(dict.fromkeys(frame["line"])), list(dict.fromkeys(frame["panel"]))]
    best = wide.eq(wide.max(axis=0))
    if wide.shape[1] > 6:
        wide, best = wide.T, best.T
    text = wide.map(number)
    text.insert(0, "", text.index.map(str), allow_duplicates=True)
    best.insert(0, "", False, allow_duplicates=True)
    notes = [f"Means over {int(frame['n_seed'].max())} stream orders; bold: the highest, which may be chance."]
    return Table(name, title, text, best.to_numpy(bool), notes)
