"""Which settings of a results folder depend on the order of the stream, and in how many orders they were played.

What a router that learns decides depends on what it decided before; so does what any router decides under a budget,
and what comes of a call behind queues or under a protocol. Resampling the queries of one order says too little about
any of them. ``metrics.csv`` says of each setting whether the order matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dacr.core import registry
from dacr.core.errors import UserError

Setting = tuple[str, str]


class Kind(NamedTuple):
    """What ``metrics.csv`` says of a setting: whether its router learns, and whether the stream's order matters."""

    learns: bool
    order_matters: bool


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
    def of(cls, decisions: pd.DataFrame, kinds: Mapping[Setting, Kind]) -> Dependence:
        """Judge the decisions of two runs, whose routers are called ``A...`` and ``B...``.

        Parameters
        ----------
        kinds : mapping
            Of settings that are not in it the registry is asked whether the router learns; one that is not registered
            here counts as a learner, to be safe.
        """
        known = {name: bool(part.learns) for name, part in registry.routers.items()}
        crossed, single, learners = set(), set(), []
        n_seed = decisions["seed"].nunique()
        for (router, setting), rows in decisions.groupby(["policy", "setting"], sort=False, observed=True):
            own = str(router), str(setting)
            learns = known.get(own[0][1:], True)
            kind = kinds.get(own, Kind(learns, learns))
            if kind.learns:
                crossed.add(own)
                learners.append(same_order(rows))
            elif kind.order_matters and rows["seed"].nunique() == n_seed and not same_order(rows):
                crossed.add(own)
            elif kind.order_matters:
                single.add(own)
        return cls(frozenset(crossed), frozenset(single), any(learners))


def same_order(decisions: pd.DataFrame) -> bool:
    """Tell whether all seeds of one setting see the queries in one order (one seed: yes)."""
    return bool((decisions.groupby("qid", observed=True)["t"].nunique() == 1).all())


def kinds_of(folder: Path) -> dict[Setting, Kind]:
    """Return what ``metrics.csv`` of a results folder says of its settings; empty where it does not."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return {}
    columns = ["policy", "setting", *Kind._fields]
    try:
        frame = pd.read_csv(path, usecols=lambda name: name in columns, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file ({error}); run the experiment again") from None
    if set(columns) - set(frame.columns) or not all(frame[name].dtype == bool for name in Kind._fields):
        return {}
    rows = zip(*(frame[name] for name in columns), strict=True)
    return {(str(router), str(setting)): Kind(bool(a), bool(b)) for router, setting, a, b in rows}
