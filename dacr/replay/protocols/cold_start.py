"""A model that training has never seen: stand-ins in place of everything that was recorded of it there."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.types import Bools, Ints


def without_outcomes(table: RoutingTable, train: Ints, cold: Bools) -> RoutingTable:
    """Return the table with the training outcomes of cold models replaced by what others would lead one to expect.

    On each training row a cold model has the others' mean quality and latency, and costs

        c_m = C_m mean_o (c_o / C_o),

    with o the other models and C the mean training cost. C_m stands for its price list, the one thing that is known of
    a model before its first call; that some requests are dearer is known from the others. Everything that is
    fitted later (predictors, calibrators, neighbours, costs, lateness, routers) sees this and nothing else.

    Parameters
    ----------
    train : (n_train,) int
        Rows that are trained on; others stay as they are.
    cold : (n_model,) bool

    Raises
    ------
    UserError
        No other model is left.
    """
    if cold.all():
        raise UserError("--protocol late_joiner: every model is cold; training needs at least one that it knows")
    quality, cost, latency = (np.array(part) for part in (table.quality, table.cost_usd, table.latency_s))
    level = np.maximum(cost[train].mean(axis=0), 1e-12)
    relative = (cost[train][:, ~cold] / level[~cold]).mean(axis=1, keepdims=True)
    where = np.ix_(train, np.flatnonzero(cold))
    cost[where] = relative * level[cold]
    for part in (quality, latency):
        part[where] = part[train][:, ~cold].mean(axis=1, keepdims=True)
    return replace(table, quality=quality, cost_usd=cost, latency_s=latency)


def cues_without(cues: NDArray[np.float32] | None, cold: Bools) -> NDArray[np.float32] | None:
    """Return cues of training responses, (n, n_model, n_cue), where cold models have the mean of the others."""
    if cues is None:
        return None
    known: NDArray[np.float32] = np.array(cues)
    known[:, cold] = known[:, ~cold].mean(axis=1, keepdims=True)
    return known
