"""One table: differences to the first router at every cost that was fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dacr.report import style
from dacr.report.comparison import compare, tells_apart
from dacr.report.equal_money import COSTS_RULE, SLACK, reference_policy
from dacr.report.folder import Absent, Results
from dacr.report.table import Cell, Table


def equal_money(results: Results) -> Table:
    """Return one row per router and one column per cost: its quality less that of the first router."""
    made = compare(results)
    if made.everywhere.empty:
        raise Absent("there is one router: nothing to compare it with")
    first = style.look(reference_policy(results)).label
    costs = sorted(made.everywhere["cost"].unique())
    rows = made.everywhere.set_index(["name", "cost"])
    cells = []
    for name in style.in_order(made.everywhere["name"]):
        found = [rows.loc[(name, cost)] for cost in costs]
        cells.append([Cell(style.look(name).label), *(difference(row, dearer=bool(row["dearer"])) for row in found)])
    notes = [
        f"Setting: {results.setting}. {COSTS_RULE} A cost that {first} can't keep to has no column.",
        f"† is dearer than that even at its cheapest, by more than {SLACK:.0%}. Intervals are 95 %, each by itself; a "
        f"tie is what Holm's correction over all {len(made.everywhere)} differences leaves to chance.",
    ]
    head = ["Router", *(f"{1000 * cost:.3g} USD / 1,000" for cost in costs)]
    return Table("equal_money", f"Quality less that of {first}, at costs fixed beforehand", head, cells, notes)


def difference(row: Mapping[str, Any] | Any, *, dearer: bool = False) -> Cell:
    """Return a difference with its interval, and its verdict where it is none."""
    text = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−")
    text += "" if tells_apart(str(row["verdict"])) else f" {row['verdict']}"
    return Cell(text + (" †" if dearer else ""), float(row["difference"]))
