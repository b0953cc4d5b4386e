"""What plans do with recorded answers: whom each asks of each request, in which round, and whose answer is shipped."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.estimates.answers.read import UNREAD
from dacr.routers.plans.base import STOP, Plan, Replies, same_answer
from dacr.types import Bools, Floats, Ints, Outcomes

MAX_ROUNDS = 8

LEAST_DOMAINS, N_FOLD = 3, 5
"""From so many domains on each is a fold; else rows are dealt to so many folds."""


@dataclass(frozen=True)
class Paths:
    """The path of every request through every plan. It depends on the answers of the models asked alone.

    Attributes
    ----------
    member : (n_plan, depth) int
        Models of each plan as columns of the table; -1 where a plan has fewer.
    round : (n, n_plan, depth) int8
        Round in which each member is asked, from 1; 0 where it is not.
    shipped : (n, n_plan) int
        The model whose answer is shipped.
    same : (n, n_plan, depth) bool
        Where a member that is asked at once gives the answer that is shipped.
    """

    member: Ints
    round: NDArray[np.int8]
    shipped: Ints
    same: Bools

    def __len__(self) -> int:
        return len(self.shipped)

    def __getstate__(self) -> dict[str, Any]:
        """Return what it is made of, without what was worked out since: keys of caches are of the former alone."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def settled(self) -> Bools:
        """Where the first round settled it, without the fallback: (n, n_plan)."""
        return self.round.max(axis=2) == 1

    @cached_property
    def calls(self) -> Ints:
        """Number of calls: (n, n_plan)."""
        return np.count_nonzero(self.round, axis=2)

    def of_arms(self, name: str, row: Ints, arm: Ints, n_arm: int) -> Floats:
        """Return what arms that were chosen have: (n,), or (n, 2) for the first two members.

        Parameters
        ----------
        name : str
            ``settled`` (NaN for models), ``calls`` (1 for models), or ``same`` of the first two members (NaN).
        """
        table = self._padded.get(name)
        if table is None:
            of_plans = getattr(self, name)[:, ::-1]
            of_plans = of_plans[:, :, :2] if name == "same" else of_plans
            of_model = np.full((len(self), 1, *of_plans.shape[2:]), 1.0 if name == "calls" else np.nan)
            table = self._padded[name] = np.concatenate([of_plans, of_model], axis=1)
        out: Floats = table[row, np.minimum(n_arm - 1 - arm, len(self.member))]
        return out

    @cached_property
    def _padded(self) -> dict[str, Floats]:
        """Tables of :meth:`of_arms`: the last plan first, and a model behind them."""
        return {}

    def take(self, rows: Any) -> Paths:
        """Return the paths of some requests."""
        return replace(self, round=self.round[rows], shipped=self.shipped[rows], same=self.same[rows])

    def of(self, one: int, values: Floats) -> Floats:
        """Return values of a plan's members, (n, depth), 0 where a member is not asked; ``values`` is (n, n_model)."""
        return np.where(self.round[:, one] > 0, values[:, self.member[one]], 0.0)

    def beside(self, models: Outcomes, tau_s: float) -> Outcomes:
        """Return the outcomes of models with a column for each plan behind them.

        A plan's cost is the sum of its calls, its latency the largest of a round, summed over rounds; it has the
        quality and the cues of the answer that is shipped, and is late where all of it takes longer than ``tau_s``.
        """
        rows = np.arange(len(self))[:, None]
        latency = np.column_stack([self._latency(one, models.latency_s) for one in range(len(self.member))])
        late: Bools = np.column_stack([models.late, latency > tau_s])
        cues, known = models.cues, models.recorded
        with_plans = Outcomes(
            models.quality,
            models.cost_usd,
            np.column_stack([models.latency_s, latency]),
            late,
            None if cues is None else np.concatenate([cues, cues[rows, self.shipped]], axis=1),
            self,
            None if known is None else np.column_stack([known, all_there(self.member, known)]),
        )
        return self.changed(with_plans, models.quality, models.cost_usd)

    def changed(self, outcomes: Outcomes, quality: Floats, cost_usd: Floats) -> Outcomes:
        """Return outcomes where the models have another quality and cost, (n, n_model), and plans what follows."""
        shipped = np.take_along_axis(quality, self.shipped, axis=1)
        paid = [self.of(one, cost_usd).sum(axis=1) for one in range(len(self.member))]
        return replace(
            outcomes,
            quality=np.column_stack([quality, shipped]),
            cost_usd=np.column_stack([cost_usd, *paid]),
        )

    def _latency(self, one: int, latency_s: Floats) -> Floats:
        asked, own = self.round[:, one], self.of(one, latency_s)
        rounds = [np.where(asked == number, own, 0.0).max(axis=1) for number in range(1, int(asked.max()) + 1)]
        return np.sum(rounds, axis=0)


def all_there(member: Ints, there: Bools) -> Bools:
    """Return where all models of each plan can be called, (n, n_plan), given where each model can, (n, n_model)."""
    return np.all(there[:, member] | (member < 0), axis=2)


class Walk:
    """Requests on their way through one plan, round by round: what recorded answers and live calls have in common.

    Attributes
    ----------
    round : (n, n_member) int8
        Round in which each member was asked, from 1; 0 where it was not.
    ship : (n,) int
        The member whose answer is shipped; ``STOP`` while the plan asks on.
    """

    def __init__(self, plan: Plan, n: int) -> None:
        self.plan = plan
        self.round = np.zeros((n, len(plan.members)), dtype=np.int8)
        self.ship = np.full(n, STOP)

    def ask(self, answer: Ints, cues: NDArray[np.float32] | None = None) -> Bools:
        """Return whom to ask at once next, (n, n_member); nobody where the plan has ended.

        Parameters
        ----------
        answer, cues : (n, n_member), (n, n_member, n_cue)
            What each member answers; the plan is shown those of the members that were asked.

        Raises
        ------
        ValueError
            A plan without an end, one that asks nobody, or ships an answer that it did not ask for.
        """
        asked, number = self.round > 0, int(self.round.max(initial=0)) + 1
        seen = None if cues is None else np.where(asked[:, :, None], cues, np.float32(0))
        ask, self.ship = self.plan.step(Replies(asked, np.where(asked, answer, UNREAD), seen))
        if (ask & asked).any() or (ask.any(axis=1) & (self.ship != STOP)).any():
            raise ValueError(f"plan {self.plan.spec} asks a model twice, or ships an answer and asks on")
        if number > MAX_ROUNDS and ask.any():
            raise ValueError(f"plan {self.plan.spec} asks on after {MAX_ROUNDS} rounds")
        self.round[ask] = number
        if not ask.any() and ((self.ship == STOP) | ~np.take_along_axis(asked, self.ship[:, None], axis=1)[:, 0]).any():
            raise ValueError(f"plan {self.plan.spec} ships an answer that it did not ask for")
        return ask


def walk(plan: Plan, answer: Ints, cues: NDArray[np.float32] | None = None) -> tuple[NDArray[np.int8], Ints]:
    """Take every request through a plan, all at once; return :class:`Walk`'s ``round`` and ``ship``.

    Parameters
    ----------
    answer, cues : (n, n_member), (n, n_member, n_cue)
        Recorded of every member.
    """
    way = Walk(plan, len(answer))
    while way.ask(answer, cues).any():
        pass
    return way.round, way.ship


def follow(plan: Plan, own: Ints, had: Outcomes, fold: Ints | None = None) -> tuple[NDArray[np.int8], Ints]:
    """Take every request through one plan; in training out of fold, where the plan's own ``fit`` says whom it asks.

    Parameters
    ----------
    own : (n_member,) int
        The plan's models as columns.
    had : Outcomes
        Of every model, with answers.
    fold : (n,) int, optional
        Of training rows: they are followed by a plan that is fitted on the other folds.

    Returns
    -------
    round, ship
        As :func:`walk`.
    """
    assert had.answer is not None
    answer, cues = had.answer[:, own], None if had.cues is None else had.cues[:, own]
    if fold is None:
        return walk(plan, answer, cues)
    when, ship = np.zeros(answer.shape, dtype=np.int8), np.zeros(len(answer), dtype=np.int64)
    whole = np.ones(len(answer), dtype=bool) if had.recorded is None else had.recorded.all(axis=1)
    values = had.quality[:, own], had.cost_usd[:, own], had.latency_s[:, own], had.late[:, own]
    few = Outcomes(*values, cues, answer=answer)
    for one in np.unique(fold):
        mine = fold == one
        other = copy.copy(plan).fit(few.take(np.flatnonzero(~mine & whole)), np.arange(len(own)))
        when[mine], ship[mine] = walk(other, answer[mine], None if cues is None else cues[mine])
    return when, ship


def folds_of(domain: Ints) -> Ints:
    """Return folds for what is learnt across domains: each of three domains or more is one, else rows are dealt out."""
    code = np.unique(domain, return_inverse=True)[1]
    return code if code.max(initial=0) >= LEAST_DOMAINS - 1 else np.arange(len(domain)) % N_FOLD


def paths_of(chosen: Sequence[Plan], models: Sequence[str], had: Outcomes, fold: Ints | None = None) -> Paths:
    """Return the paths of every request through some fitted plans.

    Parameters
    ----------
    had : Outcomes
        Of every model of the table, with answers.
    fold : (n,) int, optional
        As :func:`follow` takes it.
    """
    members = [np.array([list(models).index(one) for one in plan.members]) for plan in chosen]
    depth = max(map(len, members), default=0)
    member = np.full((len(chosen), depth), -1)
    when = np.zeros((len(had), len(chosen), depth), dtype=np.int8)
    shipped = np.empty((len(had), len(chosen)), dtype=np.int64)
    same = np.zeros(when.shape, dtype=bool)
    assert had.answer is not None
    for k, (plan, own) in enumerate(zip(chosen, members, strict=True)):
        member[k, : len(own)] = own
        when[:, k, : len(own)], ship = follow(plan, own, had, fold if plan.learns else None)
        shipped[:, k] = own[ship]
        given = np.take_along_axis(had.answer[:, own], ship[:, None], axis=1)
        same[:, k, : len(own)] = same_answer(had.answer[:, own], given) | (np.arange(len(own)) == ship[:, None])
    return Paths(member, when, shipped, same & (when == 1))
