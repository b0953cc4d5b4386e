"""Decisions as a dense block: stream orders x queries x settings, so that statistics are array operations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.metrics.metric import SETTING
from dacr.types import Bools, Floats, Played


@dataclass(frozen=True)
class Panel:
    """The same queries decided on by every setting, in every stream order.

    Attributes
    ----------
    settings : DataFrame, n_setting rows
        What names each column: policy, lambda_cost, setting.
    depends : (n_setting,) bool
        Whether a decision depends on earlier ones (it learns, or paces a budget). Such settings are random over
        stream orders, and resampling the queries of one run would be wrong.
    qid, domain : (n_query,) object
    order : tuple
        Names (seeds) of the stream orders.
    values : dict of name to (n_order, n_query, n_setting) float
        NaN in ``latency_s`` where a request was shed.
    """

    settings: pd.DataFrame
    depends: Bools
    qid: NDArray[np.object_]
    domain: NDArray[np.object_]
    order: tuple[object, ...]
    values: dict[str, Floats]

    @property
    def n_order(self) -> int:
        """Number of stream orders."""
        return len(self.order)

    @property
    def n_query(self) -> int:
        """Number of queries."""
        return len(self.qid)

    def column(self, **named: object) -> int:
        """Return the index of the one setting with these names, such as ``policy="dacr"``."""
        match = np.ones(len(self.settings), dtype=bool)
        for name, value in named.items():
            match &= (self.settings[name] == value).to_numpy()
        hits = np.flatnonzero(match)
        if len(hits) != 1:
            raise UserError(f"{named} names {len(hits)} settings, expected one; known: {_names(self.settings)}")
        return int(hits[0])

    def take(self, columns: Sequence[int]) -> Panel:
        """Return the panel of these settings, in this order."""
        rows = np.asarray(columns, dtype=np.int64)
        return Panel(
            self.settings.iloc[rows].reset_index(drop=True),
            self.depends[rows],
            self.qid,
            self.domain,
            self.order,
            {name: block[:, :, rows] for name, block in self.values.items()},
        )


def build(
    decisions: pd.DataFrame,
    dependent: Collection[str | tuple[str, str]] = (),
    columns: Sequence[str] = ("quality", "cost", "latency_s", "slo_violation"),
) -> Panel:
    """Arrange decisions (one row each) as a :class:`Panel`.

    Parameters
    ----------
    decisions : DataFrame
        policy, lambda_cost, setting, seed, qid, domain and ``columns``. A policy that was run in one order only,
        though others were run in more, is repeated: allowed for those that do not depend on the order.
    dependent : names of policies, or pairs (policy, setting)
        Those that learn or pace a budget; pairs where a router does so at some of its settings alone.

    Raises
    ------
    UserError
        A (setting, order, query) cell that is missing or stands twice.
    """
    missing = [name for name in (*SETTING, "seed", "qid", "domain", *columns) if name not in decisions]
    if missing:
        raise UserError(f"decisions lack the columns {missing}; got {list(decisions.columns)}")
    setting_code = decisions.groupby(list(SETTING), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    _, first = np.unique(setting_code, return_index=True)
    settings = decisions[list(SETTING)].iloc[first].reset_index(drop=True)
    seed_code, seeds = pd.factorize(decisions["seed"], sort=True)
    qid_code, qids = pd.factorize(decisions["qid"], sort=True)
    shape = (len(seeds), len(qids), len(settings))
    cell = np.ravel_multi_index((seed_code, qid_code, setting_code), shape)
    filled = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    if (filled > 1).any():
        o, q, s = np.argwhere(filled > 1)[0]
        raise UserError(f"query {qids[q]!r} was decided on twice by {_names(settings, s)} in stream order {seeds[o]}")
    pairs = zip(settings["policy"], settings["setting"], strict=True)
    depends = np.array([router in dependent or (router, setting) in dependent for router, setting in pairs], dtype=bool)
    ran = filled.any(axis=1)  # (n_order, n_setting)
    source = np.where(ran, np.arange(len(seeds))[:, None], ran.argmax(axis=0)[None, :])
    holes = (ran & ~filled.all(axis=1)) | (~ran & depends[None, :])
    if holes.any():
        o, s = np.argwhere(holes)[0]
        gaps = int((filled[o, :, s] == 0).sum())
        raise UserError(
            f"{_names(settings, s)} lacks {gaps} of {len(qids)} queries in stream order {seeds[o]}; "
            "compare policies on the same queries and orders"
        )
    values = {}
    for name in columns:
        block = np.full(shape, np.nan)
        block.reshape(-1)[cell] = decisions[name].to_numpy(dtype=np.float64)
        values[name] = np.take_along_axis(block, source[:, None, :], axis=0)
    domain = np.empty(len(qids), dtype=object)
    domain[qid_code] = decisions["domain"].to_numpy(dtype=object)
    return Panel(settings, depends, np.asarray(qids, dtype=object), domain, tuple(seeds), values)


def _names(settings: pd.DataFrame, row: int | np.int64 | None = None) -> str:
    rows = settings if row is None else settings.iloc[[int(row)]]
    names = [" ".join(str(v) for v in values) for values in rows.itertuples(index=False)]
    return "; ".join(names[:8]) + ("; ..." if len(names) > 8 else "")


VALUES: dict[str, Callable[[Played], Floats]] = {
    "quality": lambda one: one.quality,
    "cost": lambda one: one.cost_usd,
}
"""What a panel holds of each decision."""


def panel_of(
    played: Sequence[tuple[str, str, Played]],
    depends: Sequence[bool],
    n_query: int,
    values: Mapping[str, Callable[[Played], Floats]] = VALUES,
) -> Panel:
    """Arrange what was played by query, so that every router's values stand beside the others'.

    A learner cannot mix two of its runs, and the hull of a single run picks its lucky points. So a router's frontier is
    that of its points averaged over stream orders, here and everywhere.

    Parameters
    ----------
    played : list of (policy, label, Played)
        All with the same number of runs over all ``n_query`` requests.
    depends : one bool per entry
        Whether its decisions depend on earlier ones.
    values : mapping
        Name of a value -> what it is of each decision: (n_run, n).
    """
    if not played:
        raise UserError("no runs were made, so there is nothing to compare; give at least one router")
    n_run = len(played[0][2].row)
    by_query = {name: np.empty((len(played), n_run, n_query)) for name in values}
    for k, (_, _, one) in enumerate(played):
        for name, of in values.items():
            np.put_along_axis(by_query[name][k], one.row, of(one), axis=1)
    named = pd.DataFrame([{"policy": router, "setting": label} for router, label, _ in played])
    empty = np.full(n_query, "", dtype=object)
    blocks = {name: np.moveaxis(block, 0, 2) for name, block in by_query.items()}
    return Panel(named, np.array(depends, dtype=bool), empty, empty, tuple(range(n_run)), blocks)
