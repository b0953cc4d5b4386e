"""Which settings of a results folder depend on the order of the stream, and in how many orders they were played.

What a router that learns decides depends on what it decided before, and so does what any router decides under an
enforced budget: the money that is left. Resampling the queries of one order says too little about either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dacr import registry
from dacr.errors import UserError

BUDGET = "budget_"
"""What the name of a setting begins with where the arena enforces a budget."""

Setting = tuple[str, str]


@dataclass(frozen=True)
class Dependence:
    """Settings (policy, setting) that depend on earlier decisions.

    Attributes
    ----------
    crossed : set
        Those whose intervals move queries and stream orders.
    in_one_order : set
        Those of routers that do not learn whose runs are one order again and again: their spread over runs says
        nothing, so they get no interval.
    learners_in_one_order : bool
        Whether the runs of a router that learns are one order, and differ by their draws alone.
    """

    crossed: frozenset[Setting]
    in_one_order: frozenset[Setting]
    learners_in_one_order: bool

    @classmethod
    def of(cls, decisions: pd.DataFrame, learns: Mapping[str, bool]) -> Dependence:
        """Judge the decisions of two runs, whose policies are called ``A...`` and ``B...``.

        Parameters
        ----------
        learns : mapping
            Policy -> whether it learns. Of others the registry is asked; one that is not registered here counts as
            a learner, to be safe.
        """
        known = {name: bool(part.learns) for name, part in registry.routers.items()}
        crossed, single, learners = set(), set(), []
        n_seed = decisions["seed"].nunique()
        budgets = [setting for setting in decisions["setting"].unique() if str(setting).startswith(BUDGET)]
        under = decisions["setting"].isin(budgets).rename("bounded")
        for (policy, bounded), rows in decisions.groupby(["policy", under], sort=False, observed=True):
            name = str(policy)
            own = learns.get(name, known.get(name[1:], True))
            if not own and not bounded:
                continue
            settings = {(name, str(setting)) for setting in rows["setting"].unique()}
            one = rows[rows["setting"] == rows["setting"].iloc[0]]
            if own:
                crossed |= settings
                learners.append(same_order(one))
            elif one["seed"].nunique() == n_seed and not same_order(one):
                crossed |= settings
            else:
                single |= settings
        return cls(frozenset(crossed), frozenset(single), any(learners))


def same_order(decisions: pd.DataFrame) -> bool:
    """Tell whether all seeds of one setting see the queries in one order (one seed: yes)."""
    return bool((decisions.groupby("qid", observed=True)["t"].nunique() == 1).all())


def learning(folder: Path) -> dict[str, bool]:
    """Return policy -> whether it learns, as ``metrics.csv`` of a results folder says; empty where it does not."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return {}
    try:
        frame = pd.read_csv(path, usecols=lambda name: name in ("policy", "learns"))
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file ({error}); run the experiment again") from None
    if "learns" not in frame or frame["learns"].isna().any():
        return {}
    return {str(policy): bool(own) for policy, own in zip(frame["policy"], frame["learns"], strict=True)}
