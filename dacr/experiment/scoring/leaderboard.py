"""A leaderboard from scored decisions: ranked by net area, ties as ties."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dacr.experiment.frontier_table import MEAN, FrontierTable, together
from dacr.metrics.paired import TIE, to_reference
from dacr.report.table import Table, interval, number, to_markdown

NOTES = (
    "Ranked by net area: the mean height of the frontier's hull between the cheapest and the dearest single model, of "
    "quality less the price of late answers. Routers that a paired test (Holm-corrected, 5 %) can't tell apart from "
    "the first of their rank share it. Intervals are 95 %, by query, and over stream orders where there are several."
)


def leaderboard_of(
    names: Sequence[str], tables: Mapping[str, pd.DataFrame], frontiers: FrontierTable, n_query: int
) -> str:
    """Return the leaderboard in Markdown, one row per router."""
    rows = tables["frontier"]
    means = rows[rows["seed"] == MEAN].set_index("policy")
    best = tables["metrics"].sort_values("mean_quality", ascending=False, kind="stable").drop_duplicates("policy")
    best = best.set_index("policy")
    text = [
        [
            str(rank),
            name,
            interval(means.loc[name, "net_area"], means.loc[name, "net_area_low"], means.loc[name, "net_area_high"]),
            number(means.loc[name, "area"]),
            str(int(means.loc[name, "n_setting"])),
            number(best.loc[name, "mean_quality"]),
            f"{1000 * best.loc[name, 'mean_cost']:.3g}",
        ]
        for name, rank in ranked(names, frontiers).items()
    ]
    head = ["Rank", "Router", "Net area [95 %]", "Area", "Settings", "Best quality", "at USD / 1,000"]
    notes = [NOTES, f"{n_query:,} queries."]
    return to_markdown(Table("leaderboard", "Leaderboard", pd.DataFrame(text, columns=head), None, notes))


def ranked(names: Sequence[str], frontiers: FrontierTable) -> dict[str, int]:
    """Return the rank of each router, best first; those that no test tells apart from the first of a rank share it."""
    own = frontiers.collected["net_area"]
    left = sorted(names, key=lambda name: -float(own[name].estimate[0]))
    out: dict[str, int] = {}
    while left:
        rank = len(out) + 1
        out[left[0]] = rank
        if len(left) > 1:
            made = to_reference(left, together(own, left), 0)
            tied = set(made.loc[made["verdict"] == TIE, "name"]) | set(
                made.loc[np.isclose(made["difference"], 0.0), "name"]
            )
            # Who shares a rank stands beside its first, also where a third between them is told apart.
            out |= {name: rank for name in left[1:] if name in tied}
        left = [name for name in left if name not in out]
    return out
