"""The three tables of a paper: main results, by domain, calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.metrics.budgets import headlines
from dacr.metrics.frontier import lambda_frontier_area
from dacr.report import style
from dacr.report.comparison import Comparison, compare
from dacr.report.costs_table import difference, equal_money
from dacr.report.equal_money import RULE, is_limit, operating_points, portions
from dacr.report.folder import Absent, Results, short_names
from dacr.report.style import OWN_BUDGET
from dacr.report.table import TIE, Cell, Table, to_latex, to_markdown

MANY_DOMAINS = 25
TIE_NOTE = f"Bold: best; {TIE}: not told apart from the best (paired test, Holm-corrected, 5 %)."


def write(results: Results) -> list[str]:
    """Write NAME.tex and NAME.md of every table that the folder has the numbers for; return the names."""
    made = []
    for name, build in TABLES.items():
        try:
            table = build(results)
        except Absent as reason:
            print(f"skipped table {name}: {reason}")
            continue
        files.write_text(results.folder / f"{name}.tex", to_latex(table))
        files.write_text(results.folder / f"{name}.md", to_markdown(table))
        made.append(name)
    return made


def main_results(results: Results) -> Table:
    """Every router at equal money: quality with its interval, cost, lateness, frontier area, difference."""
    try:
        made: Comparison | None = compare(results)
    except Absent:
        made = None
    rows = made.points if made else operating_points(results).assign(quality_lo=np.nan, quality_hi=np.nan)
    areas = frontier_areas(results)
    differences = made.differences.set_index("name") if made is not None and len(made.differences) else pd.DataFrame()
    reference = rows["policy"].iloc[0]
    fair = rows[~rows["dearer"].astype(bool) & ~_limits(rows)]
    top_area = max((areas.get(p, np.nan) for p in rows[~_limits(rows)]["policy"]), default=np.nan)
    cells: list[list[Cell]] = []
    groups: list[int] = []
    for i, (_, row) in enumerate(rows.iterrows()):
        policy = str(row["policy"])
        if i and style.look(policy).reference and not groups:
            groups.append(i)
        label = f"{style.look(policy).label}{' §' if policy in results.budgeted else ''}{' †' if row['dearer'] else ''}"
        interval = (
            f" [{row['quality_lo']:.3f}, {row['quality_hi']:.3f}]" if row["quality_lo"] == row["quality_lo"] else ""
        )
        best = policy == (made.best if made else _top(fair))
        area = areas.get(policy, np.nan)
        cells.append(
            [
                Cell(label),
                Cell(
                    f"{row['mean_quality']:.3f}{interval}", float(row["mean_quality"]), best,
                    made is not None and policy in made.ties,
                ),
                _difference(differences, policy),
                Cell.number(1000 * row["mean_cost"], ".3g" if row["mean_cost"] >= 1e-6 else ".2g"),
                Cell.number(100 * row["slo_violation_rate"], ".1f"),
                Cell.number(float(row.get("p95_latency_s", np.nan)), ".1f"),
                Cell.number(area, ".3f", best=bool(area == top_area)),
            ]
        )  # fmt: skip
    head = [
        "Router",
        "Quality [95 %]",
        f"Δ to {style.look(reference).label}",
        "USD / 1,000",
        "Late, %",
        "p95, s",
        "Area",
    ]
    notes = [
        f"Setting: {results.setting}.",
        f"{RULE} † is dearer than that even at its cheapest; the table at all costs is equal_money.",
        TIE_NOTE
        + " Clairvoyant rows and full-information twins are limits, † rows spend more: none of these can be best.",
        "Area: mean height of the frontier's hull between the cheapest and the dearest single model.",
    ]
    if results.budgeted:
        notes.append(OWN_BUDGET)
    budgets = budget_quality(results)
    if budgets is not None:
        _add_budgets(cells, rows["policy"].tolist(), budgets)
        head.append("Budgets")
        notes.append(
            f"Budgets: mean quality over {int(budgets['n_budget'].max())} enforced budgets of money; ‡ spent more than "
            "allowed in some of these runs, so not comparable."
        )
    if made and made.n_order < 10:
        notes.append(f"Only {made.n_order} stream orders: intervals of learners are rough.")
    return Table("main_results", "Routers at equal money", head, cells, notes, groups)


def by_domain(results: Results) -> Table:
    """Mean quality of every router in every domain, at the settings of the main table."""
    table = results.table("metrics_by_domain.csv")
    points = operating_points(results)
    if "setting" not in table.columns:
        raise Absent("metrics_by_domain.csv has no column setting")
    table = table.merge(portions(points), on=["policy", "setting"])
    group, what = "domain", "domain"
    if table["domain"].nunique() > MANY_DOMAINS and "family" in table.columns:
        group, what = "family", "family of domains"
    table["n_weighted"] = table["n"] * table["weight"]
    table["total"] = table["mean_quality"] * table["n_weighted"]
    sums = table.groupby([group, "policy"], sort=True)[["total", "n_weighted"]].sum()
    shown = [policy for policy in style.in_order(table["policy"]) if policy not in ("random", "cheapest", "strongest")]
    quality = (sums["total"] / sums["n_weighted"]).unstack("policy")[shown]
    count = sums["n_weighted"].unstack("policy").max(axis=1).round().astype(int)
    ties = _domain_ties(results) if group == "domain" else {}
    rows = []
    able = [p for p in quality.columns if not is_limit(p) and not bool(points.set_index("policy")["dearer"][p])]
    for domain, values in quality.iterrows():
        best = values[able].max() if able else np.nan
        leader = next((p for p in able if values[p] == best), "")
        cells = [Cell(str(domain)), Cell(f"{count[domain]:,}", float(count[domain]))]
        for policy in quality.columns:
            tie = policy in able and (policy, leader, str(domain)) in ties and values[policy] != best
            cells.append(
                Cell.number(float(values[policy]), ".3f", best=policy in able and values[policy] == best, tie=tie)
            )
        rows.append(cells)
    head = [what.capitalize(), "n", *(style.look(policy).label for policy in quality.columns)]
    notes = [f"Setting: {results.setting}. Every router at its setting of the main table.", TIE_NOTE]
    return Table("by_domain", f"Mean quality by {what}", head, rows, notes)


def calibration(results: Results) -> Table:
    """Expected calibration error by model and by domain, for every calibrator and for learners' beliefs."""
    table = _with_beliefs(results.table("calibration_ece.csv"))
    names = short_names([m for m in table["model"].unique() if m != "all"]) | {"all": "all"}
    calibrators = list(dict.fromkeys(table["calibrator"]))
    by_model = table[table["domain"] == "all"]
    by_dom = table[(table["model"] == "all") & (table["domain"] != "all")]
    if by_dom.empty:
        by_dom = table.iloc[:0]
    # A learner that was told more than it could know is a reference: it is not compared.
    able = [column for column in calibrators if not is_limit(column.split(" ")[0])]
    rows: list[list[Cell]] = []
    groups: list[int] = []
    parts = [(by_model, "model"), (by_dom, "domain")]
    for part, key in parts:
        if len(part) and rows:
            groups.append(len(rows))
        for name in dict.fromkeys(part[key]):
            own = part[part[key] == name].drop_duplicates("calibrator").set_index("calibrator")
            values, floors = (
                own[column].reindex(calibrators) if column in own else pd.Series(np.nan, calibrators)
                for column in ("ece", "ece_null")
            )
            label = ("all models" if name == "all" else names[name]) if key == "model" else f"domain {name}"
            lowest = values[able].round(3).min()
            cells = [Cell(label), Cell(f"{int(own['n'].max()):,}", float(own["n"].max()))]
            cells += [
                _over_floor(float(v), float(floors[column]), column in able and bool(round(float(v), 3) == lowest))
                for column, v in values.items()
            ]
            rows.append(cells)
    head = ["", "n", *("raw" if c == "identity" else c for c in calibrators)]
    notes = [
        f"Setting: {results.setting}. ECE of all models' predictions on the test queries, 15 bins of equal width; "
        "bold: lowest to three digits.",
        "In brackets the floor: what a perfectly calibrated predictor with these very predictions would score, from "
        "noise alone (ece_null).",
    ]
    if any(c.endswith(BELIEFS["online"]) for c in calibrators):
        notes.append(
            "Of learners: before, what was believed of every model before each decision; after, at the end of the "
            "stream; called, of the called models alone, before each call. Intervals: calibration_ece.csv."
        )
    return Table("calibration", "Expected calibration error", head, rows, notes, groups)


def _over_floor(ece: float, floor: float, best: bool) -> Cell:
    """Return an error with what noise alone would make of it, where that is known; it sorts by the error."""
    plain = Cell.number(ece, ".3f", best=best)
    return plain if ece != ece or floor != floor else replace(plain, text=f"{plain.text} ({floor:.3f})")


BELIEFS = {"online": " called", "online_counterfactual": " before", "online_end": " after"}
"""Stages of a learner's beliefs, as they are called in the table of calibration."""


def _with_beliefs(table: pd.DataFrame) -> pd.DataFrame:
    """Name a learner's stages apart, at the setting whose beliefs about every model are known; drop the others."""
    if "stage" not in table or not table["stage"].isin(BELIEFS).any():
        return table
    known = table[table["stage"] == "online_counterfactual"]
    watched = set(zip(known["calibrator"], known["setting"], strict=True))
    learner = table["stage"].isin(BELIEFS)
    pairs = zip(table["calibrator"], table["setting"], strict=True)
    kept = [not late or pair in watched for late, pair in zip(learner, pairs, strict=True)]
    table = table[kept]
    return table.assign(calibrator=table["calibrator"] + table["stage"].map(BELIEFS).fillna(""))


TABLES: dict[str, Callable[[Results], Table]] = {
    "main_results": main_results,
    "equal_money": equal_money,
    "by_domain": by_domain,
    "calibration": calibration,
}


def budget_quality(results: Results) -> pd.DataFrame | None:
    """Return, per policy, the mean quality over enforced budgets of money: the headline number.

    Returns
    -------
    DataFrame indexed by policy, or None where fewer than two budgets were enforced
        quality, spent_percent (mean), spent_most (percent, worst run), n_over (runs that spent more than
        allowed), n_run, n_budget.
    """
    if not results.has("budgets.csv"):
        return None
    runs = headlines(results.table("budgets.csv"))
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
    return made.assign(spent_percent=100.0 * made["spent_percent"], spent_most=100.0 * made["spent_most"])


def _add_budgets(cells: list[list[Cell]], policies: list[str], budgets: pd.DataFrame) -> None:
    kept = [p for p in policies if p in budgets.index and not is_limit(p) and budgets["n_over"][p] == 0]
    best = max((float(budgets["quality"][p]) for p in kept), default=float("nan"))
    for row, policy in zip(cells, policies, strict=True):
        if policy not in budgets.index:
            row.append(Cell("–"))
            continue
        value = float(budgets["quality"][policy])
        mark = " ‡" if budgets["n_over"][policy] else ""
        row.append(Cell(f"{value:.3f}{mark}", value, best=policy in kept and value == best))


def frontier_areas(results: Results) -> dict[str, float]:
    """Return each policy's hull area between the cheapest and the dearest single model; empty without these."""
    if not results.has("singles.csv"):
        return {}
    singles, metrics = results.table("singles.csv"), results.frontier()
    single = singles["mean_cost"].to_numpy(float), singles["mean_quality"].to_numpy(float)
    metrics = metrics.dropna(subset=["mean_cost", "mean_quality"])
    return {
        str(policy): lambda_frontier_area(part["mean_cost"].to_numpy(), part["mean_quality"].to_numpy(), *single)
        for policy, part in metrics.groupby("policy")
    }


def _limits(rows: pd.DataFrame) -> pd.Series:
    return rows["policy"].map(is_limit).astype(bool)


def _top(rows: pd.DataFrame) -> str:
    return str(rows.sort_values("mean_quality", ascending=False, kind="stable")["policy"].iloc[0]) if len(rows) else ""


def _difference(differences: pd.DataFrame, policy: str) -> Cell:
    if policy not in differences.index:
        return Cell("–")
    return difference(differences.loc[policy])


def _domain_ties(results: Results) -> set[tuple[str, str, str]]:
    try:
        pairs = compare(results).pairs
    except Absent:
        return set()
    tied = pairs[pairs["verdict"] == "tie"] if len(pairs) else pairs
    forth = {(str(r.a), str(r.b), str(r.domain)) for r in tied.itertuples()}
    return forth | {(b, a, d) for a, b, d in forth}
