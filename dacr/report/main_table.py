"""The main tables: every router at equal money, and its differences to the first one at all costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.metrics.budgets import headlines
from dacr.metrics.frontier import Frontier
from dacr.report import style
from dacr.report.comparison import compare, tells_apart
from dacr.report.equal_money import (
    SLACK,
    costs_rule,
    fixed_costs,
    is_limit,
    operating_points,
    reference_router,
    rule,
    with_net,
    worth,
)
from dacr.report.folder import Absent, Results
from dacr.report.style import OWN_BUDGET
from dacr.report.table import NONE, TIE, Table, interval, number
from dacr.types import Floats

TIE_NOTE = f"Bold: best;{TIE}: not told apart from the best (paired test, Holm-corrected, 5 %)."


def main_results(results: Results) -> Table:
    """Every router at equal money: quality with its interval, cost, lateness, frontier area, difference."""
    try:
        made = compare(results)
        points, ties, best = made.points, made.ties, made.best
        differences = {str(row["name"]): difference(row) for row in made.differences.to_dict("records")}
    except Absent:
        made, differences, ties = None, {}, frozenset[str]()
        points = operating_points(results).assign(quality_lo=np.nan, quality_hi=np.nan)
        rivals = points[~points["dearer"] & ~points["policy"].map(is_limit).astype(bool)]
        best = str(rivals.loc[rivals["net"].idxmax(), "policy"]) if len(rivals) else ""
    routers = points["policy"].tolist()
    limit = np.array([is_limit(router) for router in routers])
    area = pd.Series(routers).map(frontier_areas(results)).to_numpy(float)
    marks = [
        f"{' §' if router in results.budgeted else ''}{' †' if dearer else ''}"
        for router, dearer in zip(routers, points["dearer"], strict=True)
    ]
    compared = "Net"
    text = pd.DataFrame(
        {
            "Router": [style.look(router).label + mark for router, mark in zip(routers, marks, strict=True)],
            "Quality [95 %]": [
                interval(row["mean_quality"], row["quality_lo"], row["quality_hi"]) for row in points.to_dict("records")
            ],
            compared: [number(value) for value in points["net"]],
            f"Δ to {style.look(routers[0]).label}": [differences.get(router, NONE) for router in routers],
            "USD / 1,000": [number(1000 * cost, ".3g" if cost >= 1e-6 else ".2g") for cost in points["mean_cost"]],
            "Late, %": [number(100 * share, ".1f") for share in points["slo_violation_rate"]],
            "p95, s": [number(seconds, ".1f") for seconds in points["p95_latency_s"]],
            "Area": [number(value) for value in area],
        }
    )
    if results.price_late == 0:
        text = text.drop(columns=compared)
        compared = "Quality [95 %]"
    text[compared] += [TIE if router in ties else "" for router in routers]
    notes = [
        f"Setting: {results.setting}.",
        f"{rule(results)} Compared is {worth(results)}. † is dearer than that even at its cheapest; the table at all "
        "costs is equal_money.",
        TIE_NOTE
        + " Clairvoyant rows and full-information twins are limits, † rows spend more: none of these can be best.",
        f"Area: mean height of the hull of the frontier, in {results.quality}, between the cheapest and the dearest "
        "single model.",
    ]
    if results.budgeted:
        notes.append(OWN_BUDGET)
    bold = {compared: np.array(routers) == best, "Area": area == _highest(area[~limit])}
    budgets = budget_quality(results)
    if budgets is not None:
        found = budgets.reindex(routers)
        kept = (found["n_over"] == 0).to_numpy() & ~limit
        text["Budgets"] = [
            number(value) + (" ‡" if over > 0 else "")
            for value, over in zip(found["quality"], found["n_over"], strict=True)
        ]
        bold["Budgets"] = kept & (found["quality"] == _highest(found["quality"].to_numpy()[kept])).to_numpy()
        notes.append(
            f"Budgets: mean {results.quality} over {int(budgets['n_budget'].max())} enforced budgets of money; ‡ "
            "spent more than allowed in some of these runs, so not comparable."
        )
    if made is not None and made.n_order < 10:
        notes.append(f"Only {made.n_order} stream orders: intervals of learners are rough.")
    faces = np.column_stack([bold.get(name, np.zeros(len(text), dtype=bool)) for name in text.columns])
    references = [i for i, router in enumerate(routers) if i and style.look(router).reference]
    return Table("main_results", "Routers at equal money", text, faces, notes, references[:1])


def equal_money(results: Results) -> Table:
    """Return one row per router and one column per cost: its net quality less that of the first router."""
    everywhere = compare(results).everywhere
    if everywhere.empty:
        raise Absent("there is one router: nothing to compare it with")
    first = style.look(reference_router(results)).label
    shown = [difference(row) + (" †" if row["dearer"] else "") for row in everywhere.to_dict("records")]
    wide = everywhere.assign(shown=shown).pivot(index="name", columns="cost", values="shown")
    wide = wide.loc[style.in_order(wide.index)].rename(columns=lambda cost: f"{1000 * cost:.3g} USD / 1,000")
    wide.insert(0, "Router", [style.look(name).label for name in wide.index], allow_duplicates=True)
    notes = [
        f"Setting: {results.setting}. {costs_rule(results)} A cost that {first} can't keep to has no column.",
        f"† is dearer than that even at its cheapest, by more than {SLACK:.0%}. Intervals are 95 %, each by itself; a "
        f"tie is what Holm's correction over all {len(everywhere)} differences leaves to chance.",
    ]
    what = worth(results).capitalize()
    return Table("equal_money", f"{what}: differences to {first} at equal money", wide, None, notes)


def difference(row: Mapping[str, Any]) -> str:
    """Return a difference with its interval, and its verdict where it is none."""
    text = interval(row["difference"], row["low"], row["high"], "+.3f")
    return text if tells_apart(str(row["verdict"])) else f"{text} {row['verdict']}"


def budget_quality(results: Results) -> pd.DataFrame | None:
    """Return, per policy, the mean quality over enforced budgets of money: the headline number.

    Returns
    -------
    DataFrame indexed by policy, or None where fewer than two budgets were enforced
        quality, spent_percent (mean), spent_most (percent, worst run), n_over (runs that spent more than
        allowed), n_run, n_budget, shed_percent (of requests; 0 in a folder that does not tell it).
    """
    if not results.has("budgets.csv"):
        return None
    table = with_net(results.table("budgets.csv"), results)
    runs = headlines(table.assign(mean_quality=table["net"]))
    if runs.empty or runs["n_budget"].max() < 2:
        return None
    made = runs.groupby("policy").agg(
        quality=("mean_quality", "mean"),
        spent_percent=("mean_ratio", "mean"),
        spent_most=("worst_ratio", "max"),
        n_over=("n_exceeded", "sum"),
        n_run=("n_budget", "sum"),
        n_budget=("n_budget", "max"),
    )
    shed = table[table["enforced"]].groupby("policy")["shed_rate"].mean() if "shed_rate" in table else 0.0
    made["shed_percent"] = 100.0 * shed
    return made.assign(spent_percent=100.0 * made["spent_percent"], spent_most=100.0 * made["spent_most"])


def frontier_areas(results: Results) -> dict[str, float]:
    """Return each router's area of its mean points, in net quality, from ``frontier.csv``; empty without it."""
    if not results.has("frontier.csv"):
        return {}
    table = results.table("frontier.csv")
    means = table[table["seed"] == "mean"]
    return dict(zip(means["policy"], means["net_area"], strict=True))


def _highest(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else float("nan")


SHARES = (0.95, 0.99, 1.0)
"""Shares of the best single model's quality at which routers' costs are compared."""


def equal_quality(results: Results) -> Table:
    """Return what every router pays to be as good as the best single model, or nearly.

    Routers that do not learn mix two settings by a coin; learners stand at their cheapest setting that is good enough.
    """
    singles, metrics = results.table("singles.csv"), results.frontier()
    best = singles.sort_values(["mean_quality", "mean_cost"], ascending=[False, True], kind="stable").iloc[0]
    wanted = np.array(SHARES) * float(best["mean_quality"])
    routers = style.in_order(metrics["policy"])
    rows = [_costs_at(singles, wanted, mixes=True)]
    for router in routers:
        part = metrics[metrics["policy"] == router]
        rows.append(_costs_at(part, wanted, mixes=not part["learns"].any() and router not in style.FIXED))
    cost = np.array(rows)
    names = ["hull of single models", *(style.look(router).label for router in routers)]
    heads = [f"{name} (q = {q:.3f})" for name, q in zip(("95 %", "99 %", "as good"), wanted, strict=True)]
    text = pd.DataFrame([[number(1000 * one, ".3g") for one in row] for row in cost], columns=heads)
    text.insert(0, "Router", names)
    bold = _best_of(-cost, [False, *(not is_limit(router) for router in routers)])
    notes = [
        f"Least USD per 1,000 requests at which a frontier reaches a share of the quality of {best['model']}, the best "
        f"single model, which costs {number(1000 * float(best['mean_cost']), '.3g')}. A dash: it never does. Bold: "
        "the least of routers that are no limit. Routers that do not learn mix two settings by a coin.",
    ]
    return Table("equal_quality", "Cost at equal quality, USD / 1,000", text, bold, notes)


LATE = 0.05
"""Share of late answers up to which a setting is within the latency limit: its 95 % quantile is."""


def in_time(results: Results) -> Table:
    """Return every router's frontier within the latency limit: the best setting that is in time, up to each cost."""
    if results.tau_s != results.tau_s:
        raise Absent("the manifest names no latency objective")
    metrics, costs = results.frontier(), fixed_costs(results)
    fast = metrics[metrics["slo_violation_rate"] <= LATE]
    if fast.empty:
        raise Absent(f"no setting of any router has {1 - LATE:.0%} of its answers within {results.tau_s:g} s")
    routers = style.in_order(metrics["policy"])
    cost, quality, owner = (fast[name].to_numpy() for name in ("mean_cost", "mean_quality", "policy"))
    best = np.full((len(routers), len(costs)), np.nan)
    for row, router in enumerate(routers):
        able = (owner == router) & (cost <= (1 + SLACK) * costs[:, None])
        best[row] = np.where(able, quality, -np.inf).max(axis=1)
    best[np.isinf(best)] = np.nan
    heads = [f"{1000 * one:.3g} USD / 1,000" for one in costs]
    text = pd.DataFrame([[number(one) for one in row] for row in best], columns=heads)
    text.insert(0, "Router", [style.look(router).label for router in routers])
    bold = _best_of(best, [not is_limit(router) for router in routers])
    notes = [
        f"Quality of the best setting of a frontier with at most {LATE:.0%} of its answers later than "
        f"{results.tau_s:g} s that costs so much, or a tenth more. A dash: there is none. Bold: best of routers that "
        "are no limit. A plan takes the longest call of each round, summed over rounds.",
    ]
    return Table("in_time", "Frontier within the latency limit", text, bold, notes)


def _best_of(values: Floats, fair: Sequence[bool]) -> NDArray[np.bool_]:
    """Return what is bold in a table with names in its first column: the highest of each column among fair rows."""
    known = np.where(np.isfinite(values) & np.array(fair)[:, None], values, -np.inf)
    return np.column_stack([np.zeros(len(values), dtype=bool), (known == known.max(axis=0)) & np.isfinite(known)])


def _costs_at(part: pd.DataFrame, wanted: Floats, mixes: bool) -> Floats:
    """Return the least mean cost at which some settings reach qualities, (n,); NaN where they do not."""
    cost, quality = part["mean_cost"].to_numpy(float), part["mean_quality"].to_numpy(float)
    known = np.isfinite(cost) & np.isfinite(quality)
    if mixes and known.any():
        return Frontier.of(cost[known], quality[known]).cost_at(wanted - 1e-12)
    able = known & (quality >= wanted[:, None] - 1e-12)
    least = np.where(able, cost, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, np.nan)
