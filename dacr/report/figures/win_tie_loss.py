"""Who beats whom, counted over domains."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.comparison import compare
from dacr.report.equal_money import worth
from dacr.report.figure import Figure, fold, headline
from dacr.report.folder import Absent, Results

CELLS_IN = 4.8
"""Width that the matrix has at least, in inches."""

FEWEST = 5
"""Domains that a count of wins needs to say anything."""


@figures.register("win_tie_loss")
class WinTieLoss(Figure):
    """A matrix of wins, ties and losses between all routers at equal money."""

    size_in = (style.DOUBLE_IN, 4.6)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per ordered pair of routers: wins, ties and losses of the first over domains."""
        made = compare(results)
        pairs = made.pairs
        n_domain = pairs.loc[pairs["verdict"] != "unknown", "domain"].nunique() if len(pairs) else 0
        if n_domain < FEWEST:
            raise Absent(f"{n_domain} domains have enough queries to compare routers, and counting needs {FEWEST}")
        swapped = pairs.rename(columns={"a": "b", "b": "a"})
        swapped["verdict"] = swapped["verdict"].replace({"win": "loss", "loss": "win"})
        both = pd.concat([pairs, swapped], ignore_index=True)
        counts = both.groupby(["a", "b", "verdict"]).size().unstack("verdict", fill_value=0)
        counts = counts.reindex(columns=["win", "tie", "loss"], fill_value=0).reset_index()
        place = {name: i for i, name in enumerate(made.points["policy"])}
        counts = counts.sort_values(["a", "b"], key=lambda c: c.map(place), kind="stable")
        counts.columns.name = None
        dearer = dict(zip(made.points["policy"], made.points["dearer"], strict=True))
        return pd.DataFrame(
            {
                "policy": counts["a"],
                "against": counts["b"],
                "wins": counts["win"],
                "ties": counts["tie"],
                "losses": counts["loss"],
                "dearer": counts["a"].map(dearer),
                "n_domain": n_domain,
                "measure": worth(results),
                "note": results.setting,
            }
        )

    def height_in(self, frame: pd.DataFrame) -> float:
        """A row for each router, as high as the lines of its name need."""
        lines = [fold(style.look(name).label).count("\n") + 1 for name in frame["policy"].unique()]
        return 0.75 + len(lines) * max(0.2, 0.04 + 0.1 * max(lines))

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the matrix: blue where the row wins more often than it loses, orange where it loses."""
        total = float(frame["n_domain"].iloc[0])
        headline(fig, f"Wins, ties and losses over {total:g} domains, row against column", frame["note"].iloc[0])
        ax = fig.subplots()
        names = list(dict.fromkeys(frame["policy"]))
        place = {name: i for i, name in enumerate(names)}
        colours = LinearSegmentedColormap.from_list("verdict", [style.ORANGE, "#ffffff", style.SKY])
        marks = {name: "†" if bool(part["dearer"].iloc[0]) else "" for name, part in frame.groupby("policy")}
        longest = frame[["wins", "ties", "losses"]].astype(str).agg("–".join, axis=1).str.len().max()
        size = min(6.0, 72.0 * CELLS_IN / len(names) / (0.66 * longest))
        shade = np.full((len(names), len(names), 3), 0.91)
        for row in frame.itertuples():
            x, y = place[str(row.against)], place[str(row.policy)]
            shade[y, x] = colours(0.5 + (float(row.wins) - float(row.losses)) / total / 2)[:3]
            known = int(row.wins) + int(row.ties) + int(row.losses) > 0  # one run of a learner allows no verdict
            text = f"{row.wins}–{row.ties}–{row.losses}" if known else ""
            ax.text(x, y, text, ha="center", va="center", fontsize=size, color="#111111")
        edges = np.arange(len(names) + 1) - 0.5
        ax.pcolormesh(edges, edges, shade, edgecolors="white", linewidth=0.4)
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.set_ylim(len(names) - 0.5, -0.5)
        labels = [f"{fold(style.look(name).label + marks[name])}  {k + 1}" for k, name in enumerate(names)]
        ax.set_xticks(range(len(names)), [str(k + 1) for k in range(len(names))], fontsize=6)
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(names)), labels, fontsize=6)
        ax.tick_params(length=0)
        ax.grid(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is compared, and how a tie is told."""
        dearer = " † costs more than that." if frame["dearer"].astype(str).eq("True").any() else ""
        judged, n = str(frame["measure"].iloc[0]), int(frame["n_domain"].iloc[0])
        return (
            f"Domains in which the router of the row has higher, equal or lower mean {judged} than that of the column "
            f"(wins–ties–losses, {n} domains). Columns bear the numbers of the rows. A win is a paired difference that "
            "stays beyond chance after Holm's correction over all pairs and domains; all else is a tie. Every router "
            f"stands where the main table has it, at equal money.{dearer}"
        )
