"""Routers compared at equal money, with intervals, paired differences and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.metrics import intervals, paired, panel, resample
from dacr.metrics.paired import holm
from dacr.report.equal_money import (
    fixed_costs,
    is_limit,
    main_cost,
    operating_points,
    portions,
    reference_router,
)
from dacr.report.folder import Absent, Results
from dacr.types import Floats

N_RESAMPLE = 1000

MEASURED = ("quality", "net")

COLUMNS = ("policy", "lambda_cost", "setting", "seed", "qid", "domain", "quality", "cost", "latency_s", "slo_violation")


@dataclass(frozen=True)
class Comparison:
    """Routers at their operating points; compared is ``net``, see :func:`dacr.report.equal_money.worth`.

    Attributes
    ----------
    cost : float
        That of the main table, USD per request: where ``points``, ``differences``, ``pairs`` and ``best`` are.
    points : DataFrame
        Operating points, in the order of all figures, with ``quality_lo`` and ``quality_hi`` (95 %).
    everywhere : DataFrame
        At every cost that was fixed: cost, dearer (of name), name, reference, difference (name - reference), low,
        high, p, p_holm (over all rows), verdict (of name), reason. Costs that the reference cannot keep to are left
        out, unless it can keep to none.
    differences : DataFrame
        The rows of ``everywhere`` at ``cost``.
    pairs : DataFrame
        domain, n, a, b, difference, p, p_holm, verdict (of a).
    n_order : int
        Stream orders that were run.
    best : str
        Highest net quality among routers that could be deployed and cost about as much as the reference or less.
    ties : frozenset of str
        Policies that a paired test cannot tell apart from the best.
    """

    cost: float
    points: pd.DataFrame
    everywhere: pd.DataFrame
    differences: pd.DataFrame
    pairs: pd.DataFrame
    n_order: int
    best: str
    ties: frozenset[str]


def compare(results: Results) -> Comparison:
    """Compare all routers at their operating points; computed once per folder.

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
    cost = main_cost(results)
    points = operating_points(results)
    decisions = _decisions(results, points)
    names = points["policy"].tolist()
    block = _block(decisions, points)
    points["p95_latency_s"] = _p95(points, decisions)
    del decisions  # the largest thing here, and the other costs read their own
    draws = resample.draw(block.n_query, block.n_order, N_RESAMPLE, 0)
    quality, net = (intervals.means(block, name, draws) for name in MEASURED)
    low, high = quality.interval()
    at = names.index(reference_router(results))
    everywhere = _at_all_costs(results, cost, points, net, draws)
    pairs = paired.win_tie_loss(block, "net", draws, names)[1] if len(names) > 1 else pd.DataFrame()
    able = [
        i
        for i, (name, dearer) in enumerate(zip(names, points["dearer"], strict=True))
        if not (is_limit(name) or dearer)
    ]
    top = max(able or [at], key=lambda i: float(net.estimate[i]))
    beside = paired.to_reference(names, net, top) if len(names) > 1 else pd.DataFrame({"name": [], "verdict": []})
    ties = frozenset(beside.loc[~beside["verdict"].map(tells_apart).astype(bool), "name"])
    points = points.assign(quality_lo=low, quality_hi=high)
    here = everywhere[everywhere["cost"] == cost].reset_index(drop=True) if len(everywhere) else everywhere
    return Comparison(cost, points, everywhere, here, pairs, block.n_order, names[top], ties)


def _at_all_costs(
    results: Results, main: float, points: pd.DataFrame, net: intervals.Replicates, draws: resample.Resamples
) -> pd.DataFrame:
    """Return differences to the reference at every cost, one correction over all; the main cost is known already."""
    reference = reference_router(results)
    parts = []
    for cost in fixed_costs(results):
        own, replicates = points, net
        if cost != main:
            own = operating_points(results, float(cost))
            if own.set_index("policy")["dearer"][reference]:
                continue
            decisions = _decisions(results, own)
            block = _block(decisions, own)
            if (block.n_query, block.n_order) != (len(draws.counts), len(draws.order_weights)):
                draws = resample.draw(block.n_query, block.n_order, N_RESAMPLE, 0)
            replicates = intervals.means(block, "net", draws)
        names = own["policy"].tolist()
        if len(names) > 1:
            made = paired.to_reference(names, replicates, names.index(reference))
            dearer = own.set_index("policy")["dearer"].reindex(made["name"]).to_numpy()
            parts.append(made.assign(cost=cost, dearer=dearer))
    if not parts:
        return pd.DataFrame()
    made = pd.concat(parts, ignore_index=True)
    made["p_holm"] = holm(made["p"])
    made["verdict"] = paired.verdicts(made["difference"].to_numpy(), made["p_holm"].to_numpy(), True, 0.05)
    return made


def intervals_at(results: Results, points: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % intervals of the net quality at operating points, (n_point,) each."""
    block = _block(_decisions(results, points), points)
    return intervals.means(block, "net", resample.draw(block.n_query, block.n_order, N_RESAMPLE, 0)).interval()


def _decisions(results: Results, points: pd.DataFrame) -> pd.DataFrame:
    """Read the decisions behind operating points, with ``net``: quality less the price of a late answer."""
    decisions = read_decisions(results, portions(points), COLUMNS)
    return decisions.assign(net=decisions["quality"] - results.price_late * decisions["slo_violation"])


def _block(decisions: pd.DataFrame, points: pd.DataFrame) -> panel.Panel:
    """Return quality and net quality of every query at every operating point: one column per router."""
    dependent = points.loc[points["order_matters"], "policy"].tolist()
    try:
        return _mixed(panel.build(_one_run_each(decisions, dependent), dependent, MEASURED), points)
    except UserError as gap:  # runs that cannot be paired: everything else can still be drawn
        raise Absent(f"routers cannot be compared: {gap}") from None


def _one_run_each(decisions: pd.DataFrame, dependent: list[str]) -> pd.DataFrame:
    """Average what does not depend on the order over its runs, query by query: it may have fewer than a learner."""
    depends = decisions["policy"].isin(dependent)
    keys = ["policy", "lambda_cost", "setting", "qid", "domain"]
    static = decisions[~depends].groupby(keys, sort=False, dropna=False, observed=True)[list(MEASURED)].mean()
    first = decisions.loc[depends, "seed"].min() if depends.any() else 0
    return pd.concat([decisions.loc[depends, [*keys, "seed", *MEASURED]], static.reset_index().assign(seed=first)])


def _mixed(block: panel.Panel, points: pd.DataFrame) -> panel.Panel:
    """Return one column per router: its setting, or the expected quality of its mixture, query by query."""
    first = [block.column(policy=p, setting=s) for p, s in zip(points["policy"], points["setting"], strict=True)]
    second = [
        block.column(policy=p, setting=s) if w > 0 else f
        for p, s, w, f in zip(points["policy"], points["second"], points["weight"], first, strict=True)
    ]
    weight = points["weight"].to_numpy(float)
    a, b = block.take(first), block.take(second)
    mixed = {name: (1.0 - weight) * a.values[name] + weight * b.values[name] for name in MEASURED}
    return replace(a, values=mixed)


def _p95(points: pd.DataFrame, decisions: pd.DataFrame) -> list[float]:
    """Return the p95 latency of each point; that of a mixture is a quantile of the weighted answers."""
    out = []
    for row in points.to_dict("records"):
        known = float(row["p95_latency_s"])
        out.append(known if row["weight"] == 0 else float(latency_quantiles(decisions, row, np.array([0.95]))[0]))
    return out


def answers_at(decisions: pd.DataFrame, point: Mapping[str, Any]) -> tuple[pd.DataFrame, Floats]:
    """Return the decisions at an operating point, which may mix two settings, and what each counts for: (n,)."""
    own = decisions[decisions["policy"] == point["policy"]]
    parts = [own[own["setting"] == point[key]] for key in ("setting", "second")]
    shares = 1.0 - float(point["weight"]), float(point["weight"])
    weights = np.concatenate(
        [np.full(len(part), share / max(len(part), 1)) for part, share in zip(parts, shares, strict=True)]
    )
    return pd.concat(parts)[weights > 0], weights[weights > 0]


def latency_quantiles(decisions: pd.DataFrame, point: Mapping[str, Any], levels: Floats) -> Floats:
    """Return quantiles of the latency at an operating point, over all stream orders.

    Parameters
    ----------
    decisions : DataFrame
        policy, setting, latency_s (seconds; rows without are left out).
    point : mapping
        policy, setting, second and weight, from :func:`dacr.report.equal_money.operating_points`.
    levels : (n_level,) float
    """
    answers, weights = answers_at(decisions[decisions["latency_s"].notna()], point)
    values = answers["latency_s"].to_numpy(float)
    if not len(values):
        return np.full(len(levels), np.nan)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    at = np.searchsorted(mass, np.asarray(levels) * mass[-1] * (1 - 1e-12), side="left")
    return np.asarray(values[order][np.minimum(at, len(values) - 1)])


def read_decisions(results: Results, chosen: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read some columns of the decisions of some settings.

    Parameters
    ----------
    chosen : DataFrame
        policy and setting of what is wanted, at least one row.
    """
    if chosen.empty:
        raise Absent(f"there is nothing that decisions.parquet in {results.folder} should be read for")
    frame = results.decisions(columns, chosen[["policy", "setting"]]).to_pandas()
    if frame.empty:
        raise Absent("decisions.parquet and metrics.csv have no policy and setting in common")
    for column in ("policy", "setting", "qid", "domain", "model"):
        if column in frame.columns:
            frame[column] = frame[column].astype(object)
    return frame


def tied_pairs(results: Results) -> set[tuple[str, str, str]]:
    """Return (policy, policy, domain) of the pairs, in both orders, that no test tells apart in a domain."""
    try:
        pairs = compare(results).pairs
    except Absent:
        return set()
    tied = pairs[pairs["verdict"] == paired.TIE] if len(pairs) else pairs
    forth = {(str(r.a), str(r.b), str(r.domain)) for r in tied.itertuples()}
    return forth | {(b, a, d) for a, b, d in forth}


def tells_apart(verdict: str) -> bool:
    """Say whether a difference is one, beyond a tie and beyond what one run can tell."""
    return verdict in (paired.WIN, paired.LOSS)
