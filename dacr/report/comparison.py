"""Routers compared at equal money: one setting each, with intervals, paired differences and verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pyarrow.dataset as ds

from dacr.errors import UserError
from dacr.metrics import intervals, paired, panel, resample
from dacr.registry import routers
from dacr.report import style
from dacr.report.results import MADE_BY, Absent, Results

N_RESAMPLE = 1000
COLUMNS = ("policy", "lambda_cost", "setting", "seed", "qid", "domain", "quality", "cost", "latency_s", "slo_violation")


def reference_policy(results: Results) -> str:
    """Return the policy that the others are compared with: dacr, else the first that is no reference line."""
    known = style.in_order(results.table("metrics.csv")["policy"])
    return known[0]


def chosen_settings(results: Results) -> pd.DataFrame:
    """Return one row of the metrics per policy: what an operator would run at equal money.

    The reference router stands at its setting of highest *worth*, mean quality minus lambda_lat times the
    share of late answers. Every other router stands at its setting of highest quality among those that cost
    at most as much, however late; one that has none stands at its cheapest, with ``dearer`` set.
    """
    metrics = results.table("metrics.csv")
    if "setting" not in metrics.columns:
        raise Absent("metrics.csv has no column setting")
    price = results.config.get("lambda_lat", 1.0)
    price = float(price) if isinstance(price, (int, float)) else 1.0
    # Rounded, so that settings which are the same policy in other words tie, and the cheaper one is taken.
    metrics["worth"] = (metrics["mean_quality"] - price * metrics["slo_violation_rate"].fillna(0.0)).round(9)
    metrics["rounded"] = metrics["mean_quality"].round(9)
    reference = reference_policy(results)
    own = metrics[metrics["policy"] == reference].sort_values(
        ["worth", "mean_cost"], ascending=[False, True], kind="stable"
    )
    cap = float(own["mean_cost"].iloc[0])
    metrics = metrics.sort_values(["rounded", "mean_cost"], ascending=[False, True], kind="stable")
    metrics = pd.concat([own.head(1), metrics[metrics["policy"] != reference]]).drop(columns="rounded")
    rows = []
    for policy in style.in_order(metrics["policy"]):
        part = metrics[metrics["policy"] == policy]
        within = part[part["mean_cost"] <= cap * (1 + 1e-9)]
        row = within.head(1) if len(within) else part.sort_values("mean_cost", kind="stable").head(1)
        rows.append(row.assign(dearer=within.empty))
    return pd.concat(rows, ignore_index=True)


@dataclass(frozen=True)
class Comparison:
    """Routers at their chosen settings.

    Attributes
    ----------
    chosen : DataFrame
        Rows of the metrics, in the order of all figures, with ``quality_lo`` and ``quality_hi`` (95 %).
    differences : DataFrame
        name, reference, difference (name - reference), low, high, p, p_holm, verdict (of name), reason.
    pairs : DataFrame
        domain, n, a, b, difference, p, p_holm, verdict (of a).
    n_order : int
        Stream orders that were run.
    best : str
        Highest quality among routers that could be deployed and cost no more than the reference.
    ties : frozenset of str
        Policies that a paired test cannot tell apart from the best.
    """

    chosen: pd.DataFrame
    differences: pd.DataFrame
    pairs: pd.DataFrame
    n_order: int
    best: str
    ties: frozenset[str]


def is_limit(policy: str) -> bool:
    """Say whether this is a limit rather than a router: it knows the truth, or every model's outcome."""
    known = policy in routers.names() and bool(routers.get(policy).clairvoyant)
    return known or policy.endswith("_full") or "clairvoyant" in style.look(policy).label


def compare(results: Results) -> Comparison:
    """Compare all routers at their chosen settings; computed once per folder.

    Raises
    ------
    Absent
        There are no decisions to resample.
    """
    made = results.cache.get("comparison")
    if not isinstance(made, Comparison):
        made = results.cache["comparison"] = _compare(results)
    return made


def _compare(results: Results) -> Comparison:
    chosen = chosen_settings(results)
    decisions = read_decisions(results, chosen, COLUMNS)
    names = chosen["policy"].tolist()
    learners = [name for name in names if name in routers.names() and routers.get(name).learns]
    block = panel.build(decisions, learners, ("quality",))
    block = block.take([block.column(policy=p, setting=s) for p, s in zip(names, chosen["setting"], strict=True)])
    draws = resample.draw(block.n_query, block.n_order, N_RESAMPLE, 0)
    quality = intervals.means(block, "quality", draws)
    low, high = quality.interval()
    at = names.index(reference_policy(results))
    differences = paired.to_reference(names, quality, at) if len(names) > 1 else pd.DataFrame()
    pairs = paired.win_tie_loss(block, "quality", draws, names)[1] if len(names) > 1 else pd.DataFrame()
    able = [
        i
        for i, (name, dearer) in enumerate(zip(names, chosen["dearer"], strict=True))
        if not (is_limit(name) or dearer)
    ]
    top = max(able or [at], key=lambda i: float(quality.estimate[i]))
    beside = paired.to_reference(names, quality, top) if len(names) > 1 else pd.DataFrame({"name": [], "verdict": []})
    ties = frozenset(beside.loc[~beside["verdict"].map(tells_apart).astype(bool), "name"])
    chosen = chosen.assign(quality_lo=low, quality_hi=high)
    return Comparison(chosen, differences, pairs, block.n_order, names[top], ties)


def read_decisions(results: Results, chosen: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read some columns of the decisions of some settings; only their row groups are touched.

    Parameters
    ----------
    chosen : DataFrame
        policy and setting of what is wanted.
    """
    path = results.folder / "decisions.parquet"
    if not path.is_file():
        raise Absent(f"there is no decisions.parquet in {results.folder}")
    try:
        data = ds.dataset(path)
        missing = [column for column in columns if column not in data.schema.names]
        if missing:
            raise UserError(f"{str(path)!r} lacks the column {missing[0]!r}; run {MADE_BY} again")
        parts = [
            data.to_table(list(columns), filter=(ds.field("policy") == policy) & (ds.field("setting") == setting))
            for policy, setting in zip(chosen["policy"], chosen["setting"], strict=True)
        ]
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} cannot be read ({error}); run {MADE_BY} again") from None
    frame = pd.concat([part.to_pandas() for part in parts if part.num_rows], ignore_index=True) if parts else None
    if frame is None or frame.empty:
        raise Absent("decisions.parquet and metrics.csv have no policy and setting in common")
    for column in ("policy", "setting", "qid", "domain", "model"):
        if column in frame.columns:
            frame[column] = frame[column].astype(object)
    return frame


def tells_apart(verdict: str) -> bool:
    """Say whether a difference is one, beyond a tie and beyond what one run can tell."""
    return verdict in (paired.WIN, paired.LOSS)


__all__ = ["Comparison", "chosen_settings", "compare", "read_decisions", "reference_policy", "tells_apart"]
