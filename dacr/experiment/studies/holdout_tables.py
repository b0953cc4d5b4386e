"""From the results folders of hold-outs to tables: areas, budgets, paired differences to dacr, controls."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.experiment.compare import differences_of_folders
from dacr.experiment.frontier_table import BUDGET, Collected, read_replicates, together
from dacr.metrics.frontier import Frontier
from dacr.metrics.intervals import Replicates
from dacr.metrics.paired import LOSS, TIE, WIN, holm, to_reference, verdicts
from dacr.report.folder import read_csv

REFERENCE = "dacr"
AREA, NET_AREA = "area", "net_area"
MEASURES = (AREA, BUDGET)
OVERSPENT, UNUSED = 0.01, 0.05
"""A budget is overspent from 1 % over it; it is left unused where less than 95 % of it was spent."""


def study_tables(
    folders: Mapping[str, Path], held: list[str], controls: bool, area: str, plans: bool
) -> dict[str, pd.DataFrame]:
    """Return every table of the study from the folders of its experiments; ``area`` names the measure of frontiers."""
    mine = {name: folders[name] for name in held}
    tables = {
        "holdouts": with_verdicts(pd.concat([holdout_rows(name, path, area) for name, path in mine.items()])),
        "holdouts_pooled": pooled(list(mine.values()), area, by_query=plans),
        "holdouts_budgets": pd.concat([budget_rows(name, path) for name, path in mine.items()], ignore_index=True),
    }
    if controls:
        rows = []
        for name, path in mine.items():
            shuffled, once, again = (folders[f"{name} {what}"] for what in ("shuffled", "once", "again"))
            rows.append(control_rows(name, path, shuffled, once, again, area, folders.get(f"{name} permuted")))
        tables["controls"] = pd.concat(rows, ignore_index=True)
    return tables


def holdout_rows(name: str, folder: Path, area: str = AREA) -> pd.DataFrame:
    """Return one row per router of one hold-out.

    Columns: hold_out, n (requests), router, learns; ``area`` with its standard error, and against dacr the paired
    difference with its interval and p-value, the same for the mean quality over ``budget``s; how budgets were kept;
    the ECE of a learner's calls and what perfect calibration would score; references in hindsight.
    """
    metrics, collected = read_csv(folder / "metrics.csv"), _collected(folder, area)
    first = metrics.drop_duplicates("policy").rename(columns={"policy": "router"})
    rows = first[["router", "n", "learns"]].reset_index(drop=True)
    rows.insert(0, "hold_out", name)
    for measure in MEASURES:
        if measure not in collected:
            continue
        names = list(collected[measure])
        one = together(collected[measure], names)
        if measure == "area":
            error = {router: float(draws.std(ddof=1)) for router, draws in zip(names, one.draws, strict=True)}
            rows["area"] = rows["router"].map(dict(zip(names, one.estimate, strict=True)))
            rows["area_se"] = rows["router"].map(error)
        made = to_reference(names, one, names.index(REFERENCE)).set_index("name")
        for column, title in (("difference", "minus_dacr"), ("low", "low"), ("high", "high"), ("p", "p")):
            rows[f"{measure}_{title}"] = rows["router"].map(made[column])
        own = [f"{measure}_{title}" for title in ("minus_dacr", "low", "high")]
        rows.loc[rows["router"] == REFERENCE, own] = 0.0
    if (folder / "budgets.csv").is_file():
        kept = budget_keeping(read_csv(folder / "budgets.csv"))
        rows = rows.merge(kept, left_on="router", right_index=True, how="left")
        rows["budget_hull"] = budget_rows(name, folder).drop_duplicates("budget_cost")["hull_quality"].mean()
    rows = rows.merge(called_ece(folder), left_on="router", right_index=True, how="left")
    areas = read_csv(folder / "references.csv").query("measure == 'area'")
    return rows.assign(**{str(row["name"]): row["value"] for row in areas.to_dict("records")})


def _collected(folder: Path, area: str) -> Collected:
    """Return all replicates of a folder; those of its frontiers, in the measure asked for, as ``area``."""
    collected = read_replicates(folder / "replicates.parquet")
    return collected | {AREA: collected[area]}


def budget_keeping(budgets: pd.DataFrame) -> pd.DataFrame:
    """Say how well each router kept its budgets, over runs x budgets, given ``budgets.csv``.

    Returns
    -------
    DataFrame
        By policy: budget_quality (mean), worst_overspend (mean cost / budget - 1), share_over (more than 1 % over),
        share_unused (under 95 % spent although the price of money was above 0 at the end: complementary slackness
        fails).
    """
    kept = budgets[budgets["enforced"]]
    unused = (kept["used"] < 1 - UNUSED) & (kept["price_cost_end"] > 0)
    flags = kept.assign(over=kept["used"] > 1 + OVERSPENT, unused=unused).groupby("policy", sort=False)
    return pd.DataFrame(
        {
            "budget_quality": flags["mean_quality"].mean(),
            "worst_overspend": flags["used"].max() - 1,
            "share_over": flags["over"].mean(),
            "share_unused": flags["unused"].mean(),
        }
    )


def budget_rows(name: str, folder: Path) -> pd.DataFrame:
    """Return one row per router and budget, over its runs, beside the hull of single models there."""
    if not (folder / "budgets.csv").is_file():
        return pd.DataFrame()
    budgets, singles, metrics = (read_csv(folder / f"{stem}.csv") for stem in ("budgets", "singles", "metrics"))
    order = metrics["policy"].drop_duplicates().tolist()
    grouped = budgets[budgets["enforced"]].groupby(["policy", "budget_cost"], sort=False)
    rows = grouped.agg(
        mean_cost=("mean_cost", "mean"), worst_cost=("mean_cost", "max"), mean_quality=("mean_quality", "mean")
    ).reset_index()
    rows = rows.sort_values("policy", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)
    hull = Frontier.of(singles["mean_cost"].to_numpy(), singles["mean_quality"].to_numpy())
    rows["hull_quality"] = hull.quality_at(rows["budget_cost"].to_numpy())
    rows.insert(0, "hold_out", name)
    return rows.rename(columns={"policy": "router"})


def called_ece(folder: Path) -> pd.DataFrame:
    """Return by learner the ECE of the called (query, model) pairs, all models together, mean over its frontier."""
    table = read_csv(folder / "calibration_ece.csv")
    own = table[(table["stage"] == "online") & (table["domain"] == "all") & (table["model"] == "all")]
    return own.groupby("calibrator", sort=False)[["ece", "ece_null"]].mean()


def pooled(folders: Sequence[Path], area: str = AREA, by_query: bool = False) -> pd.DataFrame:
    """Compare every router with the reference over all hold-outs; Holm per measure.

    Each hold-out has the same weight; with ``by_query`` further rows, "area by query", weigh them by their queries. Of
    routers that play in some hold-outs alone (there are no plans in the others) there is no row.
    """
    frames = []
    every = [_collected(folder, area) for folder in folders]
    sizes = [float(read_csv(folder / "metrics.csv")["n"].iloc[0]) for folder in folders] if by_query else []
    for measure in MEASURES:
        having = [collected[measure] for collected in every if measure in collected]
        if not having:
            continue
        names = [name for name in having[0] if all(name in one for one in having)]
        made = [together(one, names) for one in having]
        for title, weight in ((measure, None), (f"{measure} by query", sizes))[: 1 + by_query]:
            mean = Replicates(
                np.average([one.estimate for one in made], axis=0, weights=weight),
                np.average([one.draws for one in made], axis=0, weights=weight),
                made[0].method,
            )
            frame = to_reference(names, mean, names.index(REFERENCE))
            frame.insert(0, "measure", title)
            frame.insert(1, "n_hold_out", len(having))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def priced(name: str, draw: int) -> str:
    """Name the experiment of a hold-out under other prices."""
    return f"{name} prices {draw}"


def over_prices(draws: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Say how far pooled differences to the reference hold under other prices: a row per measure and router.

    Columns: measure, name, n_draw; the median, least and most of the differences; in how many draws the router was
    better, and in how many worse (Holm within each draw).
    """
    every = pd.concat(draws, ignore_index=True)
    every = every.assign(better=every["verdict"] == WIN, worse=every["verdict"] == LOSS)
    by = every.groupby(["measure", "name"], sort=False)
    spread = by["difference"].agg(n_draw="size", median="median", least="min", most="max")
    return spread.join(by[["better", "worse"]].sum()).reset_index()


def with_verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Add Holm-adjusted p-values and verdicts of each measure, over hold-outs x routers together."""
    frame = frame.reset_index(drop=True)
    other = (frame["router"] != REFERENCE).to_numpy()
    for name in MEASURES:
        if f"{name}_p" not in frame:
            continue
        adjusted = np.full(len(frame), np.nan)
        adjusted[other] = holm(frame[f"{name}_p"].to_numpy(dtype=float)[other])
        frame[f"{name}_p_holm"] = adjusted
        frame[f"{name}_verdict"] = verdicts(frame[f"{name}_minus_dacr"].to_numpy(dtype=float), adjusted, True, 0.05)
        frame.loc[~other, f"{name}_verdict"] = TIE
    return frame


def control_rows(
    name: str,
    folder: Path,
    shuffled: Path,
    once: Path,
    again: Path,
    area: str = AREA,
    permuted: Path | None = None,
) -> pd.DataFrame:
    """Return one row per control and subject.

    Columns: hold_out, control, subject, value, reference (what the value is to be held against).

    - ``auc``: a predictor's within-domain AUC on the hold-out, mean over models; reference .5, no ranking.
    - ``shuffled``: a router's area with features shuffled within domains; reference its area without.
    - ``permuted``: a router's area with the paths of plans permuted within domains; reference its area without.
    - ``a_a``: share of frontier points where dacr and dacr under other seeds differ; reference .05.
    """
    ranked = read_csv(folder / "references.csv").query("measure == 'auc'")
    rows = [("auc", row["name"], row["value"], 0.5) for row in ranked.to_dict("records")]
    as_is, mixed = (_collected(path, area)[AREA] for path in (folder, shuffled))
    rows += [("shuffled", router, one.estimate[0], as_is[router].estimate[0]) for router, one in mixed.items()]
    if permuted is not None:
        mixed = _collected(permuted, area)[AREA]
        rows += [("permuted", router, one.estimate[0], as_is[router].estimate[0]) for router, one in mixed.items()]
    made = differences_of_folders(once, again, n_resample=1000).per_setting
    quality = made[made["metric"] == "quality"]
    rows.append(("a_a", REFERENCE, float((quality["p"] < 0.05).mean()), 0.05))
    frame = pd.DataFrame(rows, columns=["control", "subject", "value", "reference"])
    frame.insert(0, "hold_out", name)
    return frame
