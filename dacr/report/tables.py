"""Every table of a results folder; here those by domain, of budgets, of information and of calibration."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.report import style
from dacr.report.comparison import tied_pairs
from dacr.report.equal_money import is_limit, operating_points, portions, with_net, worth
from dacr.report.folder import Absent, Results, short_names
from dacr.report.main_table import TIE_NOTE, budget_quality, equal_money, equal_quality, in_time, main_results
from dacr.report.table import TIE, Table, number, stream_orders, to_latex, to_markdown

MANY_DOMAINS = 25

ON_REQUEST = ("budgets", "perfect_information", "plans", "in_time")
"""Tables of what an experiment does when it is asked to."""


def made(results: Results) -> tuple[dict[str, Table], dict[str, str]]:
    """Return every table that the folder has the numbers for, and why there is none of the others; made once."""
    if (known := results.cache.get("tables")) is not None:
        return known  # type: ignore[return-value]
    out, missing = {}, {}
    for name, build in TABLES.items():
        try:
            out[name] = build(results)
        except Absent as reason:
            missing[name] = str(reason)
    results.cache["tables"] = out, missing
    return out, missing


def write(results: Results) -> list[str]:
    """Write NAME.tex and NAME.md of every table that the folder has the numbers for; return the names."""
    tables, missing = made(results)
    for table in tables.values():
        write_table(table, results.folder)
    for name, reason in missing.items():
        if name not in ON_REQUEST:
            print(f"skipped table {name}: {reason}")
    return list(tables)


def write_table(table: Table, folder: Path) -> None:
    """Write NAME.tex and NAME.md."""
    files.write_text(folder / f"{table.name}.tex", to_latex(table))
    files.write_text(folder / f"{table.name}.md", to_markdown(table))


def by_domain(results: Results) -> Table:
    """What is compared, of every router in every domain, at the settings of the main table."""
    points = operating_points(results)
    table = with_net(results.table("metrics_by_domain.csv"), results).merge(portions(points), on=["policy", "setting"])
    group, what = "domain", "domain"
    if table["domain"].nunique() > MANY_DOMAINS:
        group, what = "family", "family of domains"
    table["n_weighted"] = table["n"] * table["weight"]
    table["total"] = table["net"] * table["n_weighted"]
    sums = table.groupby([group, "policy"])[["total", "n_weighted"]].sum()
    routers = [name for name in style.in_order(table["policy"]) if name not in ("random", "cheapest", "strongest")]
    quality = (sums["total"] / sums["n_weighted"]).unstack("policy")[routers]
    count = sums["n_weighted"].unstack("policy").max(axis=1).round().astype(int)
    fair = set(points.loc[~points["dearer"] & ~points["policy"].map(is_limit).astype(bool), "policy"])
    able = quality[[router for router in routers if router in fair]].reindex(columns=routers)
    best = able.eq(able.max(axis=1), axis=0)
    tied = tied_pairs(results) if group == "domain" else set()
    leader = {domain: row.index[row.argmax()] for domain, row in best.iterrows()}

    def shown(domain: str, router: str) -> str:
        beside = router in fair and not best.loc[domain, router] and (router, leader[domain], domain) in tied
        return number(float(quality.loc[domain, router])) + (TIE if beside else "")

    labels, names = [style.look(router).label for router in routers], [str(name) for name in quality.index]
    cells = np.array([[shown(domain, router) for router in routers] for domain in quality.index], dtype=object)
    if len(names) < len(labels):  # the shorter way round: routers below each other
        text = pd.DataFrame(cells.T, columns=[f"{d} (n = {count[d]:,})" for d in quality.index])
        text.insert(0, "Router", labels, allow_duplicates=True)
        bold = np.column_stack([np.zeros(len(labels), dtype=bool), best.to_numpy(bool).T])
    else:
        text = pd.DataFrame(cells, columns=labels)
        text.insert(0, "n", [f"{count[domain]:,}" for domain in quality.index], allow_duplicates=True)
        text.insert(0, what.capitalize(), names, allow_duplicates=True)
        bold = np.column_stack([np.zeros((len(names), 2), dtype=bool), best.to_numpy(bool)])
    notes = [f"Setting: {results.setting}. Every router at its setting of the main table.", TIE_NOTE]
    return Table("by_domain", f"{worth(results).capitalize()}, by {what}", text, bold, notes)


def budgets(results: Results) -> Table:
    """Return one row per router: how much of its budgets it spent, and what it bought."""
    found = budget_quality(results)
    if found is None:
        raise Absent("fewer than two budgets were enforced")
    found = found.loc[style.in_order(found.index)]
    over = [f"{int(over)} of {int(n)}" for over, n in zip(found["n_over"], found["n_run"], strict=True)]
    text = pd.DataFrame(
        {
            "Router": [style.look(router).label for router in found.index],
            f"Mean {results.quality}": found["quality"].map(number),
            "Spent, % of budget": [number(value, ".1f") for value in found["spent_percent"]],
            "At most, %": [number(value, ".1f") for value in found["spent_most"]],
            "Runs above it": over,
        }
    )
    if (found["shed_percent"] > 0).any():
        text["Shed, %"] = [number(value, ".2f") for value in found["shed_percent"]]
    bold = np.zeros(text.shape, dtype=bool)
    bold[:, 1] = (found["n_over"] == 0) & (found["quality"] == found.loc[found["n_over"] == 0, "quality"].max())
    runs = stream_orders((found["n_run"] / found["n_budget"]).round())
    notes = [
        f"Means over {int(found['n_budget'].max())} budgets and {runs} of each router; the mean over enforced budgets "
        "is the headline number. Bold: best of those that kept every budget in every run.",
        _worst_keeper(found),
    ]
    return Table("budgets", "Enforced budgets", text, bold, notes)


def _worst_keeper(found: pd.DataFrame) -> str:
    """Name the router whose runs spent most of a budget."""
    worst = found["spent_most"].idxmax()
    over = (
        "more than any other, and more than allowed" if found.loc[worst, "n_over"] else "and no run more than allowed"
    )
    return f"{style.look(worst).label} spent {found.loc[worst, 'spent_most']:.1f} % of a budget, {over}."


def information(results: Results) -> Table:
    """Return one row per router: what knowing true costs and lateness would be worth to it."""
    table = results.table("perfect_information.csv")
    free = results.along_frontier(table)
    routers = style.in_order(table["policy"])
    means = table[free].groupby("policy")[["gain", "quality_gain", "late_change", "cost_change"]].mean()
    means = means.reindex(routers).assign(cost_change=lambda found: 1000.0 * found["cost_change"])
    means["under"] = table[~free].groupby("policy")["gain"].mean().reindex(routers)
    text = means.map(lambda value: number(value, "+.3f"))
    text.columns = ["Gain", "Quality", "Late share", "Cost, USD per 1,000", "Gain under budgets"]
    text.insert(0, "Router", [style.look(router).label for router in routers], allow_duplicates=True)
    notes = [
        "CLAIRVOYANT: what each router would gain if it knew the true cost and lateness of every model before the "
        "call; quality stays predicted. Gain: quality less the prices of money and lateness, mean over settings, and "
        "over enforced budgets. perfect_information.csv has every setting with its interval.",
    ]
    return Table("perfect_information", "Value of perfect information", text, None, notes)


def plans(results: Results) -> Table:
    """Return one row per plan and domain: how often its answers agree, how good they then are, and what that costs."""
    table = results.table("plans.csv")
    if not 1 < table["domain"].nunique() - 1 <= MANY_DOMAINS:  # one domain is all of them
        table = table[table["domain"] == "all"]
    text = pd.DataFrame(
        {
            "Plan": [f"{plan}, {domain}" for plan, domain in zip(table["plan"], table["domain"], strict=True)],
            "n": [f"{n:,}" for n in table["n"]],
            "Agreed, %": [number(100 * share, ".1f") for share in table["share_agreed"]],
            "Right, agreed": table["right_agreed"].map(number).to_list(),
            "Right, not": table["right_fallback"].map(number).to_list(),
            "Quality": table["quality"].map(number).to_list(),
            "Calls": [number(calls, ".2f") for calls in table["calls"]],
            "USD / 1,000": [number(1000 * cost, ".3g") for cost in table["cost"]],
            "On probes, %": [number(100 * share, ".1f") for share in table["probe_share"]],
            "Latency, s": [number(seconds, ".1f") for seconds in table["latency_s"]],
        }
    )
    first = [k for k, domain in enumerate(table["domain"]) if domain == "all"]
    notes = [
        "As if a plan were followed for every request. Agreed: the first round settles it, without the fallback. "
        "Right: mean quality of what is shipped where it does and where it does not. plans.csv has training beside it.",
    ]
    return Table("plans", "What plans do", text, None, notes, first[1:] if len(first) < len(table) else [])


BELIEFS = {"online": " called", "online_counterfactual": " before", "online_end": " after"}
"""Stages of a learner's beliefs, as they are called in the table."""


def calibration(results: Results) -> Table:
    """Expected calibration error by model and by domain, for every calibrator and for learners' beliefs."""
    table = _with_beliefs(results.table("calibration_ece.csv"))
    names = short_names([m for m in table["model"].unique() if m != "all"]) | {"all": "all models"}
    calibrators = list(dict.fromkeys(table["calibrator"]))
    models = table[table["domain"] == "all"]
    domains = table[(table["model"] == "all") & (table["domain"] != "all")]
    labelled = pd.concat(
        [models.assign(label=models["model"].map(names)), domains.assign(label="domain " + domains["domain"])]
    )
    cells = labelled.drop_duplicates(["label", "calibrator"]).set_index(["label", "calibrator"])
    labels = list(dict.fromkeys(labelled["label"]))
    ece, floor = (cells[name].unstack()[calibrators].loc[labels] for name in ("ece", "ece_null"))
    # A learner that was told more than it could know is a reference: it is not compared.
    fair = [name for name in calibrators if not is_limit(name.split(" ")[0])]
    able = ece.round(3)[fair].reindex(columns=calibrators)
    text = ece.map(number) + floor.map(lambda value: f" ({value:.3f})" if value == value else "")
    text.columns = ["raw" if name == "identity" else name for name in calibrators]
    counts = labelled.groupby("label", sort=False)["n"].max()[labels]
    text.insert(0, "n", [f"{int(n):,}" for n in counts], allow_duplicates=True)
    text.insert(0, "", labels, allow_duplicates=True)
    bold = np.column_stack([np.zeros((len(text), 2), dtype=bool), able.eq(able.min(axis=1), axis=0)])
    notes = [
        f"Setting: {results.setting}. ECE of all models' predictions on the test queries, 15 bins of equal width; "
        "bold: lowest to three digits.",
        "In brackets the floor: what a perfectly calibrated predictor with these very predictions would score, from "
        "noise alone (ece_null).",
    ]
    if any(name.endswith(BELIEFS["online"]) for name in calibrators):
        notes.append(
            "Of learners: before, what was believed of every model before each decision; after, at the end of the "
            "stream; called, of the called models alone, before each call. Intervals: calibration_ece.csv."
        )
    groups = [models["model"].nunique()] if len(models) and len(domains) else []
    return Table("calibration", "Expected calibration error", text, bold, notes, groups)


def _with_beliefs(table: pd.DataFrame) -> pd.DataFrame:
    """Name a learner's stages apart, at the setting whose beliefs about every model are known; drop the others."""
    known = table.loc[table["stage"] == "online_counterfactual", ["calibrator", "setting"]]
    keys = pd.MultiIndex.from_frame(table[["calibrator", "setting"]])
    table = table[~table["stage"].isin(BELIEFS) | keys.isin(pd.MultiIndex.from_frame(known))]
    return table.assign(calibrator=table["calibrator"] + table["stage"].map(BELIEFS).fillna(""))


TABLES: dict[str, Callable[[Results], Table]] = {
    "main_results": main_results,
    "equal_money": equal_money,
    "equal_quality": equal_quality,
    "in_time": in_time,
    "by_domain": by_domain,
    "plans": plans,
    "calibration": calibration,
    "budgets": budgets,
    "perfect_information": information,
}
