"""No leak and no anticipation under budgets, queues and protocols, where bills and prices act as well."""

from dataclasses import replace

import numpy as np

from dacr.contracts.problem import (
    CONDITIONS,
    Conditions,
    altered,
    everything,
    fitted_points,
    play_in,
    standard,
)
from dacr.contracts.rules import Rule, require
from dacr.routers.base import Router
from dacr.types import Outcomes, Played

Part = type[Router]
DELAY = 3
_FURTHER = {"protocols": 3, "all": 1}
"""Requests by which a protocol delays ratings beyond DELAY."""


_FITTED: dict[Part, list[Router]] = {}


def fitted(part: Part) -> list[Router]:
    """Return a router at all points of its frontier, fitted on the standard problem; the last one is kept."""
    if part not in _FITTED:
        _FITTED.clear()
        _FITTED[part] = fitted_points(part, standard().train)
    return _FITTED[part]


def under_stress_models_that_were_not_called_tell_nothing(part: Part) -> None:
    """Budgets, queues and protocols open no way to what was not asked."""
    if not _plays(part) or part.full_information:
        return
    for conditions in CONDITIONS:
        before = _play(part, conditions, standard().truth)
        called = np.zeros_like(everything())
        called[before.row[0], before.model[0]] = True
        after = _play(part, conditions, altered(standard().truth, ~called))
        require(alike(before, after), f"{conditions}: decisions moved with outcomes of models that it did not call")
        for column in ("quality", "cost_usd", "latency_s", "price_cost", "price_late"):
            np.testing.assert_array_equal(getattr(before, column), getattr(after, column), column)


def under_stress_no_outcome_acts_before_it_is_due(part: Part) -> None:
    """Alter all about one request, for every model: quality acts when its rating is due, bills when calls end."""
    if not _plays(part):
        return
    arrival_s = standard().requests.arrival_s
    for conditions in CONDITIONS:
        before = _play(part, conditions, standard().truth)
        for t in (0, 30):
            where = np.zeros_like(everything())
            where[before.row[0, t]] = True
            other = altered(standard().truth, where)
            for kind in ("quality", "cost_usd", "latency_s"):
                after = _play(part, conditions, only(kind, other))
                if part.full_information:
                    due = t + 1
                elif kind == "quality":
                    due = t + 1 + DELAY + _FURTHER.get(conditions.name, 0)
                else:  # the earlier of both ends: one that comes sooner is news sooner
                    finish = arrival_s[t] + min(before.latency_s[0, t], after.latency_s[0, t])
                    due = max(int(np.searchsorted(arrival_s, finish)), t + 1)
                require(alike(before, after, due), f"{conditions}: {kind} of request {t}, due at {due}, acted before")
                if kind == "quality" and not part.learns:
                    require(alike(before, after), f"{conditions}: it does not learn, and no budget knows of quality")


def under_stress_what_is_due_does_act(part: Part) -> None:
    """The other side: the rules above would be kept by a router that ignores everything."""
    if not _plays(part) or not part.learns or not part.reads_quality:
        return
    for conditions in CONDITIONS[:3]:
        before = _play(part, conditions, standard().truth)
        after = _play(part, conditions, only("quality", altered(standard().truth, everything())))
        require(not alike(before, after), f"{conditions}: ratings that came changed nothing")


RULES: tuple[Rule, ...] = (
    under_stress_models_that_were_not_called_tell_nothing,
    under_stress_no_outcome_acts_before_it_is_due,
    under_stress_what_is_due_does_act,
)


def alike(one: Played, other: Played, until: int | None = None) -> bool:
    """Say whether everything that shows of the decisions before ``until`` is bit for bit the same."""
    return all(
        np.array_equal(getattr(one, name)[:, :until], getattr(other, name)[:, :until], equal_nan=True)
        for name in ("model", "propensity", "p_hat", "cost_hat", "p_late")
    )


def only(kind: str, other: Outcomes) -> Outcomes:
    """Return the standard problem's outcomes with one kind of another's."""
    names = {"latency_s": ("latency_s", "late")}.get(kind, (kind,))
    return replace(standard().truth, **{name: getattr(other, name) for name in names})


def _plays(part: Part) -> bool:
    """Say whether the arena can play it position by position."""
    return not part.clairvoyant and not part.several_attempts


def _play(part: Part, conditions: Conditions, truth: Outcomes) -> Played:
    return play_in(conditions, [fitted(part)[0]], standard().requests, truth, DELAY)
