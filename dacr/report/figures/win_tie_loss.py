"""Who beats whom, counted over domains."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.comparison import compare
from dacr.report.equal_money import rule, worth
from dacr.report.figure import Figure, box, headline
from dacr.report.folder import Absent, Results


@figures.register("win_tie_loss")
class WinTieLoss(Figure):
    """A matrix of wins, ties and losses between routers at equal money."""

    size_in: ClassVar[tuple[float, float]] = (style.DOUBLE_IN, 4.6)

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per ordered pair of routers: wins, ties and losses of the first over domains."""
        made = compare(results)
        pairs = made.pairs
        known = pairs[pairs["verdict"] != "unknown"] if len(pairs) else pairs
        if known.empty:
            raise Absent("no domain has enough queries to compare routers")
        swapped = known.rename(columns={"a": "b", "b": "a"})
        swapped["verdict"] = swapped["verdict"].map({"win": "loss", "loss": "win", "tie": "tie"})
        both = pd.concat([known, swapped], ignore_index=True)
        counts = both.groupby(["a", "b", "verdict"]).size().unstack("verdict", fill_value=0)
        counts = counts.reindex(columns=["win", "tie", "loss"], fill_value=0).reset_index()
        place = {name: i for i, name in enumerate(made.points["policy"])}
        counts = counts.sort_values(["a", "b"], key=lambda c: c.map(place), kind="stable")
        counts.columns.name = None
        dearer = dict(zip(made.points["policy"], made.points["dearer"], strict=True))
        return pd.DataFrame(
            {
                "policy": counts["a"],
                "reference": counts["b"],
                "wins": counts["win"],
                "ties": counts["tie"],
                "losses": counts["loss"],
                "dearer": counts["a"].map(dearer),
                "n_domain": known["domain"].nunique(),
                "note": results.setting,
                "compared": worth(results),
                "rule": rule(results),
            }
        )

    def height_in(self, frame: pd.DataFrame) -> float:
        """One line for each router."""
        return 1.45 + 0.2 * float(frame["policy"].nunique())

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the matrix: blue where the row wins more often than it loses, orange where it loses."""
        top = headline(fig, "Wins, ties and losses over domains, row against column", frame["note"].iloc[0])
        _, height = fig.get_size_inches()
        ax = box(fig, 1.62, 1.02, 0.06, (1 - top) * height + 0.03)
        names = list(dict.fromkeys(frame["policy"]))
        place = {name: i for i, name in enumerate(names)}
        colours = LinearSegmentedColormap.from_list("verdict", [style.ORANGE, "#ffffff", style.SKY])
        total = float(frame["n_domain"].iloc[0])
        marks = {name: "†" if bool(part["dearer"].iloc[0]) else "" for name, part in frame.groupby("policy")}
        shade = np.full((len(names), len(names), 3), 0.91)
        for row in frame.itertuples():
            x, y = place[str(row.reference)], place[str(row.policy)]
            shade[y, x] = colours(0.5 + (float(row.wins) - float(row.losses)) / total / 2)[:3]
            text = f"{row.wins}–{row.ties}–{row.losses}"
            ax.text(x, y, text, ha="center", va="center", fontsize=5.0 if len(names) > 12 else 6.0, color="#111111")
        edges = np.arange(len(names) + 1) - 0.5
        ax.pcolormesh(edges, edges, shade, edgecolors="white", linewidth=0.4)
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.set_ylim(len(names) - 0.5, -0.5)
        labels = [style.look(name).label + marks[name] for name in names]
        ax.set_xticks(range(len(names)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=6)
        ax.set_yticks(range(len(names)), labels, fontsize=6)
        ax.tick_params(length=0)
        ax.grid(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is compared, and how a tie is told."""
        dearer = " † costs more than that even at its cheapest." if frame["dearer"].astype(str).eq("True").any() else ""
        return (
            "Domains in which the router of the row has higher, equal or lower mean "
            f"{frame['compared'].iloc[0]} than that of the column (wins–ties–losses, "
            f"{int(frame['n_domain'].iloc[0])} domains). A win is a paired difference that stays beyond chance after "
            f"Holm's correction over all pairs and domains; all else is a tie. {frame['rule'].iloc[0]}{dearer}"
        )
