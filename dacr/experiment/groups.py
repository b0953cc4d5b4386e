"""Groups of queries that are held out together: families of domains, a column of the table, or a part of the name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data import matrix_store
from dacr.data.splits import family_of_each, held_out_domains, hold_out, large_families, sizes
from dacr.data.table import RoutingTable, read_parquet

FAMILY = "family"

TOGETHER = "+"
"""Joins families that are held out together."""


def groups_of(table: RoutingTable, data: Path, group_by: str) -> NDArray[np.object_]:
    """Return the group of every query: (n_query,).

    Parameters
    ----------
    group_by : str
        ``family``; a column of the file ``data``; or a separator such as ``/``, before whose first occurrence in the
        name of a domain its group stands.
    """
    if group_by == FAMILY:
        return table.family
    if not any(letter.isalnum() for letter in group_by.replace("_", "")) and group_by:
        return np.array([str(name).split(group_by)[0] for name in table.domain], dtype=object)
    names = [] if matrix_store.is_store(data) else pq.read_schema(data).names
    if not names or group_by not in names:
        known = ", ".join(name for name in names if name not in ("prompt", "response"))
        raise UserError(
            f"--group_by {group_by!r}: expected family, a separator such as /, or a column of {data}: {known}"
        )
    frame = read_parquet(data, ["qid", group_by]).to_pandas().drop_duplicates("qid").set_index("qid")
    groups = frame[group_by].reindex(pd.Index(table.qid).astype(frame.index.dtype)).astype(str).to_numpy(dtype=object)
    return np.asarray(groups, dtype=object)


def grouped(table: RoutingTable, data: Path, group_by: str) -> RoutingTable:
    """Return the table with domains that lie in one group each: a domain of several becomes ``GROUP/DOMAIN``."""
    groups = groups_of(table, data, group_by)
    n_group = pd.Series(groups).groupby(table.domain.astype(str)).nunique()
    if (n_group == 1).all():
        return table
    split = np.isin(table.domain.astype(str), n_group.index[n_group > 1])
    named = [
        f"{group}/{domain}" if cut else domain for group, domain, cut in zip(groups, table.domain, split, strict=True)
    ]
    return replace(table, domain=np.array(named, dtype=object))


def hold_outs(
    table: RoutingTable,
    wanted: Sequence[str],
    min_n: int,
    flags: tuple[str, str] = ("--hold_outs", "--min_n"),
    groups: NDArray[np.object_] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return name -> what ``--ood_holdout`` has to say: of the hold-outs wanted, or of every large group.

    Parameters
    ----------
    wanted : sequence of str
        Groups or, where no group is called so, prefixes of domains; several of them joined by ``+`` where they are
        held out together.
    min_n : int
        Queries that a group needs where none is wanted by name.
    flags : pair of str
        Where the last two come from, for errors.
    groups : (n_query,) object, optional
        Group of every query; its domain's family by default.

    Raises
    ------
    UserError
        A name that matches no domain, or nothing left to train on.
    """
    groups = table.family if groups is None else groups
    known, family_of = sizes(groups), family_of_each(table.domain, groups)
    made = {}
    for name in wanted or large_families(known, min_n, flags[1]):
        several = [name] if name in known else name.split(TOGETHER)
        held = [prefix for one in several for prefix in (hold_out(one, family_of) if one in known else (one,))]
        try:
            held_out_domains(list(family_of), held)
        except UserError as error:
            raise UserError(str(error).replace("--ood_holdout", flags[0])) from None
        made[name] = tuple(held)
    return made
