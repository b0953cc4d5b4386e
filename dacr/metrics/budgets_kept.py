"""What runs were allowed and what they had: money and late answers, for the check that budgets are kept."""

from __future__ import annotations

import pandas as pd

KINDS = {"money": ("budget_cost", "mean_cost"), "late answers": ("budget_late", "slo_violation_rate")}
"""What a budget is of, and the columns of ``metrics_by_seed.csv`` that say what was allowed and what came of it."""


def budgets_of(by_seed: pd.DataFrame) -> pd.DataFrame | None:
    """Return one row per run and kind of budget, for ``Context.budgets``; None where no budget was given.

    Parameters
    ----------
    by_seed : DataFrame
        ``metrics_by_seed.csv``: points of enforced budgets, and of frontiers that keep one of the operator's.
    """
    parts = []
    for kind, (allowed, had) in KINDS.items():
        if {allowed, had} <= set(by_seed.columns):
            rows = by_seed[by_seed[allowed].notna()]
            parts.append(
                pd.DataFrame(
                    {
                        "policy": rows["policy"],
                        "setting": rows["setting"],
                        "seed": rows["seed"],
                        "n": rows["n"],
                        "kind": kind,
                        "allowed": rows[allowed].astype(float),
                        "had": rows[had].astype(float),
                    }
                )
            )
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return found if len(found) else None
