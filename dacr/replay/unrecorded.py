"""Outcomes that were never recorded: what stands in for them where sums go over whole matrices."""

from dataclasses import replace

import numpy as np

from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.types import Bools, Ints, Outcomes, Training

LEAST = 10
"""Training outcomes that a model needs to be predicted from."""


def with_means(table: RoutingTable, test: Ints, train: Ints | None = None) -> RoutingTable:
    """Return the table where the mean of a model's recorded outcomes in a part stands in for those that are missing.

    A mean over the part's queries is then the mean over the queries where the model was recorded. No stand-in is ever
    called, told or trained on as an outcome: ``recorded`` says where they are. Other tables come back as they are.

    Parameters
    ----------
    test, train : (n,) int
        Rows of each part.

    Raises
    ------
    UserError
        A model with fewer than ``LEAST`` recorded outcomes in training, or with none in the test part.
    """
    if table.recorded is None:
        return table
    filled = [np.array(values) for values in (table.quality, table.cost_usd, table.latency_s)]
    for rows, least, part in ((test, 1, "test"), (train, LEAST, "training")):
        if rows is None:
            continue
        known = table.recorded[rows]
        _require_enough(known, table.model, least, part)
        for values in filled:
            mean = np.where(known, values[rows], 0.0).sum(axis=0) / known.sum(axis=0)
            values[rows] = np.where(known, values[rows], mean)
    return replace(table, quality=filled[0], cost_usd=filled[1], latency_s=filled[2])


def as_expected(train: Training) -> Training:
    """Return what a router is fitted on, where its own out-of-fold estimates stand in for outcomes never recorded.

    So that a router is surprised by nothing that did not happen, and a mean over training is not one over those
    questions alone that a model happened to be asked.
    """
    outcomes, requests = train.outcomes, train.requests
    known = outcomes.recorded
    if known is None:
        return train
    expected = replace(
        outcomes,
        quality=np.where(known, outcomes.quality, requests.p),
        cost_usd=np.where(known, outcomes.cost_usd, requests.cost_hat),
        late=np.where(known, outcomes.late, requests.p_late),
    )
    return replace(train, outcomes=expected)


def whole_rows(table: RoutingTable, rows: Ints) -> Ints:
    """Return those of some rows that have every model's outcome: what plans are judged on, (n,)."""
    return rows if table.recorded is None else rows[table.recorded[rows].all(axis=1)]


def least_cost(truth: Outcomes) -> float:
    """Return the mean cost in USD of whoever calls the cheapest model that was recorded for each request."""
    single = truth.cost_usd.mean(axis=0)
    if truth.recorded is None:
        return float(single.min())
    cheapest = np.where(truth.recorded, single, np.inf).argmin(axis=1)
    return float(truth.cost_usd[np.arange(len(truth)), cheapest].mean())


def _require_enough(known: Bools, models: tuple[str, ...], least: int, part: str) -> None:
    count = known.sum(axis=0)
    if (count < least).any():
        m = int(count.argmin())
        raise UserError(
            f"{models[m]!r} was recorded for {count[m]} of {len(known)} {part} queries, at least {least} are needed; "
            "leave its rows out, or split otherwise (--ood_holdout, --test_size, --split_seed)"
        )
