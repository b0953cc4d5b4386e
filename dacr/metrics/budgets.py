"""The headline number, mean quality over enforced budgets of money, and what runs had of what they were allowed."""

from dataclasses import asdict, dataclass

import pandas as pd
from numpy.typing import ArrayLike

from dacr.core.errors import UserError
from dacr.metrics.hull import checked_points


@dataclass(frozen=True)
class BudgetedQuality:
    """The headline number of one run, and whether it was earned.

    Attributes
    ----------
    mean_quality : float
        Mean over budgets, each with the same weight.
    n_budget : int
    n_exceeded : int
        Budgets that were overspent beyond the tolerance: 0 in a sound run.
    mean_ratio, worst_ratio : float
        The mean and the largest of mean cost / budget.
    """

    mean_quality: float
    n_budget: int
    n_exceeded: int
    mean_ratio: float
    worst_ratio: float


def budgeted_quality(
    budget: ArrayLike, cost: ArrayLike, quality: ArrayLike, tolerance: float = 1e-9
) -> BudgetedQuality:
    r"""Mean quality over budgets that were really enforced: the headline.

    :math:`\frac1K \sum_k \bar q(B_k)`. Normalised by the number of budgets alone: give every router the same
    budgets. Nothing is interpolated, so it holds for learners too, whose runs can't be mixed.

    Parameters
    ----------
    budget, cost, quality : (n_budget,) float
        Allowed and spent mean USD per request, and mean quality, of one run per budget.
    tolerance : float
        Relative overspending that counts as rounding.
    """
    spent, got = checked_points(cost, quality)
    allowed, _ = checked_points(budget, quality)
    if (allowed <= 0).any():
        raise UserError(f"budgets must be above 0 USD per request, got {allowed.min():g}")
    ratio = spent / allowed
    exceeded = int((ratio > 1 + tolerance).sum())
    return BudgetedQuality(float(got.mean()), got.size, exceeded, float(ratio.mean()), float(ratio.max()))


def headlines(table: pd.DataFrame) -> pd.DataFrame:
    """Return the headline number of every router in every run, from its points of enforced budgets of money.

    Parameters
    ----------
    table : DataFrame
        ``budgets.csv`` or ``metrics_by_seed.csv``: policy, seed, enforced, budget_cost, mean_cost, mean_quality. Points
        along frontiers, and budgets of late answers alone, are no part of the number.

    Returns
    -------
    DataFrame
        policy, seed, and the fields of :class:`BudgetedQuality`.
    """
    points = one_per_budget(table[table["enforced"]])
    rows = []
    for (router, seed), run in points.groupby(["policy", "seed"], sort=False):
        made = budgeted_quality(run["budget_cost"], run["mean_cost"], run["mean_quality"])
        rows.append({"policy": router, "seed": seed, **asdict(made)})
    return pd.DataFrame(rows, columns=["policy", "seed", *BudgetedQuality.__dataclass_fields__])


def one_per_budget(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one row per policy, budget of money and run.

    A router that ran at several prices under its own budget is shown at the lowest; where shares of late
    answers were bounded too, under the loosest bound.
    """
    table = table[table["budget_cost"] > 0]
    by = [name for name in ("lambda_cost", "budget_late") if name in table.columns]
    table = table.sort_values(by, ascending=[name == "lambda_cost" for name in by], na_position="first", kind="stable")
    keys = [name for name in ("policy", "budget_cost", "seed") if name in table.columns]
    return table.drop_duplicates(keys)


KINDS = {"money": ("budget_cost", "mean_cost"), "late answers": ("budget_late", "slo_violation_rate")}
"""What a budget is of, and the columns of ``metrics_by_seed.csv`` that say what was allowed and what came of it."""


def budgets_of(by_seed: pd.DataFrame) -> pd.DataFrame | None:
    """Return one row per run and kind of budget: what it was allowed and what it had. None where no budget was given.

    Parameters
    ----------
    by_seed : DataFrame
        ``metrics_by_seed.csv``: points of enforced budgets, and of frontiers that keep one of the operator's.

    Returns
    -------
    DataFrame
        policy, setting, seed, n (requests), kind (of :data:`KINDS`), allowed, had.
    """
    parts = []
    for kind, (allowed, had) in KINDS.items():
        if {allowed, had} <= set(by_seed.columns):
            rows = by_seed.loc[by_seed[allowed].notna(), ["policy", "setting", "seed", "n", allowed, had]]
            rows = rows.rename(columns={allowed: "allowed", had: "had"}).astype({"allowed": float, "had": float})
            rows.insert(4, "kind", kind)
            parts.append(rows)
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return found if len(found) else None
