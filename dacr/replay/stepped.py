"""The replay arena: recorded outcomes on a timestamped stream.

Arrival -> choose -> attempts -> feedback queue -> observe. Routers that do not learn are scored for the
whole stream in one call (:mod:`dacr.replay.static`). A learner, and any router under a budget or behind
queues, plays many independent runs (settings x orders) at once: one loop over the positions of the
stream, arrays over runs.

Before decision t a learner is told, in this order: cost and lateness of every call that has ended by the
arrival of t, then the ratings that are due. What is still due at the end is delivered, in order. Of a request that
was shed nothing is told: no call was made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import seed_for
from dacr.replay.beliefs import BeliefRecord
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.clock.calendar import Calendar
from dacr.replay.clock.calls import Seen, make_calls
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.effects import Effects
from dacr.replay.static import play_static
from dacr.routers.base import Learner, Router
from dacr.routers.terms import Choice, Terms, called_of, only
from dacr.types import SHED, Estimates, Feedback, Floats, Ints, Outcomes, Played, Runs
from dacr.workload.queueing import FifoQueues

__all__ = ["FeedbackPlan", "Played", "Runs", "play_runs", "play_static"]


def play_runs(
    router: Router,
    requests: Estimates,
    truth: Outcomes,
    runs: Runs,
    plan: FeedbackPlan,
    pacer: Pacer,
    tell_all: bool = False,
    queues: FifoQueues | None = None,
    tau_s: float = np.inf,
    effects: Effects | None = None,
    record: BeliefRecord | None = None,
) -> Played:
    """Replay a stacked router position by position, all runs abreast.

    Parameters
    ----------
    router : Router
        Already fitted; made for ``n_run`` runs by :func:`dacr.routers.base.stack`. One call per request.
    requests, truth
        Rows in table order; ``runs.order`` points into them.
    pacer : Pacer
        Budgets of the runs; one without budgets charges nothing.
    tell_all : bool
        Full information: after each decision the learner is told every model's outcome.
    queues : FifoQueues, optional
        Replicas of the models; then ``truth.latency_s`` is the time of service, a call waits for a free
        replica, and the wait counts towards ``tau_s``.
    effects : Effects, optional
        What a protocol does to outcomes and feedback along the stream.
    record : BeliefRecord, optional
        Is told what runs believe about every model before each decision.
    """
    replay = _Replay(router, requests, truth, runs, plan, pacer, tell_all, queues, tau_s, effects or Effects())
    replay.record = record
    return replay.play()


_TOGETHER = 16
"""Runs that are turned at once: twice as many values as a line of memory holds."""


class _Replay:
    """State of one replay: every array is (n, n_run), position by position as the clock runs."""

    record: BeliefRecord | None = None

    def __init__(
        self,
        router: Router,
        requests: Estimates,
        truth: Outcomes,
        runs: Runs,
        plan: FeedbackPlan,
        pacer: Pacer,
        tell_all: bool,
        queues: FifoQueues | None,
        tau_s: float,
        effects: Effects,
    ) -> None:
        self.effects = effects
        self.router, self.requests, self.truth, self.runs = router, requests, truth, runs
        self.plan, self.pacer, self.tell_all, self.queues, self.tau_s = plan, pacer, tell_all, queues, tau_s
        n_run, n = runs.order.shape
        shape = n, n_run
        self.order = np.ascontiguousarray(runs.order.T)
        seeds = np.array([seed_for("run", router.name, seed) for seed in runs.seed], dtype=np.uint64)
        router.horizon = pacer.horizon
        self.learner = router if isinstance(router, Learner) else None
        if self.learner is not None:
            self.learner.start(n_run, len(requests.domains), seeds)
        else:
            router.seed = seeds
        missing = np.array([seed_for("missing feedback", seed) for seed in runs.seed], dtype=np.uint64)
        self.rating_draw = plan.draws(requests.key[self.order].ravel(), np.tile(missing, n)).reshape(shape)
        self.seen = Seen.empty(shape)
        self.held = np.zeros(shape, dtype=np.int64)
        self.ended, self.rated = Calendar(n, n_run), Calendar(n, n_run)
        self.price_cost, self.price_late = np.zeros((2, *shape)) if pacer.on else np.zeros((2, 0, n_run))
        self.settled = None if truth.paths is None else np.full(shape, np.nan)
        self.every = np.arange(n_run)
        self.arrival = np.broadcast_to(runs.arrival_s[:, None], shape)
        self.nothing = np.full(n_run, np.nan)

    def play(self) -> Played:
        """Run the clock."""
        for t in range(len(self.order)):
            for calendar, tell in ((self.ended, self._tell_end), (self.rated, self._tell_rating)):
                due = calendar.due(t)
                if due is not None:
                    tell(due)
            self._decide(t)
            if self.tell_all:
                self._tell_everything(t)
        for calendar, tell in ((self.ended, self._tell_end), (self.rated, self._tell_rating)):
            for due in calendar.after_the_end():
                tell(due)
        kept = self.seen.by_name()
        if self.pacer.on:
            kept |= {"price_cost": self.price_cost, "price_late": self.price_late}
        # All of it stands in memory once: what is turned is given up, and before that what no longer counts.
        del self.seen, self.held, self.ended, self.rated, self.rating_draw, self.order, self.price_cost, self.price_late
        by_run: dict[str, Any] = {name: _by_run(kept.pop(name)) for name in list(kept)}
        return Played(row=self.runs.order, **by_run)

    def _decide(self, t: int) -> None:
        row, effects, pacer = self.order[t], self.effects, self.pacer
        arrival = self.arrival[t]
        now = effects.estimates(t, self.requests.at(row, arrival))
        terms = None
        if pacer.on:
            pacer.meet(row)
            price_cost, price_late = pacer.prices()
            self.price_cost[t], self.price_late[t] = price_cost[:, 0], price_late[:, 0]
            terms = Terms(
                price_cost,
                price_late if pacer.hurries else None,
                pacer.open_to,
                pacer.reprice_cost,
                p_late=pacer.see(now),
                reprice_late=pacer.reprice_late,
                pace_cost=pacer.pace_cost,
            )
        recorded = self.truth.recorded
        there = effects.there_at(t, len(row), None if recorded is None else recorded[row])
        choice = self.router.decide(now, terms if there is None else only(there, terms))
        if self.record is not None:
            self.record.note(row, choice.beliefs.p)
        own_price = self.router.own_price() if pacer.on else None
        if own_price is not None:
            self.price_cost[t] = own_price
        m = choice.model if there is None else called_of(there, choice.model)
        m = pacer.afforded(m) if pacer.on else m
        if m is not choice.model:
            refused = np.flatnonzero(m != choice.model)
            if len(refused) and self.learner is not None:
                self.learner.withdraw(refused, now.take(refused), choice.model[refused])
        if pacer.on:
            self.held[t] = pacer.reserve(choice.beliefs, m)
        self._call(t, row, m, arrival, choice)

    def _call(self, t: int, row: Ints, m: Ints, arrival: Floats, choice: Choice) -> None:
        """Make the calls that were decided at position ``t``, and put down when news of them will come."""
        truth, effects, plan, believed = self.truth, self.effects, self.plan, choice.beliefs
        gives = row, truth.quality, truth.cost_usd, truth.latency_s, truth.late
        if self.queues is not None or effects.changes_outcomes:
            had = effects.outcomes(t, truth.take(row))
            gives = self.every, had.quality, had.cost_usd, had.latency_s, had.late
            if self.queues is not None:
                run = np.flatnonzero(m != SHED)
                latency = had.latency_s.copy()
                latency[run, m[run]] = self._in_line(row[run], run, m[run], arrival[run])
                gives = self.every, had.quality, had.cost_usd, latency, latency > self.tau_s
        make_calls(
            t,
            m,
            choice.propensity,
            *gives,
            believed.p,
            believed.cost_hat,
            believed.p_late,
            self.rating_draw[t],
            self.runs.arrival_s,
            plan.rule,
            effects.rating_at(t),
            self.seen.arrays,
            self.ended.lists,
            self.rated.lists,
        )
        if self.router.fallback is not None:
            self.seen.quality[t, m == SHED] = self.router.fallback
        if self.settled is not None and truth.paths is not None:
            of_arms = truth.paths.of_arms
            n_arm = truth.quality.shape[1]
            self.seen.attempts[t] *= of_arms("calls", row, m, n_arm).astype(np.int64)
            self.settled[t] = of_arms("settled", row, m, n_arm)

    def _in_line(self, row: Ints, run: Ints, arm: Ints, arrival_s: Floats) -> Floats:
        """Return latencies with the waits behind replicas: a plan's calls of a round wait side by side, (n,)."""
        assert self.queues is not None
        service, paths = self.truth.latency_s, self.truth.paths
        n_model = service.shape[1] - (0 if paths is None else len(paths.member))
        latency = np.zeros(len(run))
        single = np.flatnonzero(arm < n_model)
        own = service[row[single], arm[single]]
        latency[single] = own + self.queues.start(run[single], arm[single], arrival_s[single], own)
        plan = np.flatnonzero(arm >= n_model)
        if paths is None or not len(plan):
            return latency
        member, when = paths.member[arm[plan] - n_model], paths.round[row[plan], arm[plan] - n_model]
        for number in range(1, int(when.max()) + 1):
            ends = latency[plan]
            for k in range(member.shape[1]):
                asked = np.flatnonzero(when[:, k] == number)
                one, m = plan[asked], member[asked, k]
                started, own = arrival_s[one] + latency[one], service[row[one], m]
                taken = own + self.queues.start(run[one], m, started, own)
                ends[asked] = np.maximum(ends[asked], latency[one] + taken)
            latency[plan] = ends
        return latency

    def _tell_end(self, due: Ints) -> None:
        run, t = due % self.ended.n_run, due // self.ended.n_run
        seen, model = self.seen, self.seen.model.take(due)
        cost, late = seen.cost_usd.take(due), seen.late.take(due)
        if self.pacer.on:
            self.pacer.settle(run, self.held.take(due), seen.cost_hat.take(due), cost, late)
        if self.pacer.hurries:
            self.pacer.settle_late(run, model, self.requests.take(self.order.take(due)), late)
        self._observe(due, run, t, model, cost, late, self._untold(len(due)))

    def _tell_rating(self, due: Ints) -> None:
        if self.learner is None or self.tell_all:
            return
        run, t = due % self.ended.n_run, due // self.ended.n_run
        told, untold = self.effects.told(t, self.seen.quality.take(due)), self._untold(len(due))
        self._observe(due, run, t, self.seen.model.take(due), untold, untold, told)

    def _tell_everything(self, t: int) -> None:
        truth = self.effects.told_of_all(t, self.truth.take(self.order[t]))
        n_run, untold = len(self.every), self.nothing
        due = self.every + t * n_run
        self._observe(due, self.every, np.full(n_run, t), self.seen.model[t], untold, untold, untold, truth)

    def _untold(self, n: int) -> Floats:
        return self.nothing[:n] if n <= len(self.nothing) else np.full(n, np.nan)

    def _observe(
        self,
        due: Ints,
        run: Ints,
        t: Ints,
        model: Ints,
        cost_usd: Floats,
        late: Floats,
        quality: Floats,
        truth: Outcomes | None = None,
    ) -> None:
        """Tell the router, if it learns; a full-information twin is told everything, and nothing twice."""
        if self.learner is None or self.tell_all != (truth is not None):
            return
        row = self.order.take(due)
        now = self.effects.estimates(t, self.requests.at(row, self.runs.arrival_s.take(t)))
        agreed = None if self.settled is None or self.tell_all else self.settled.take(due)
        paths, same = self.truth.paths, None
        if paths is not None and agreed is not None and np.isfinite(quality[0]):  # ratings, or none of one
            same = paths.of_arms("same", row, model, self.truth.quality.shape[1])
        chance = self.seen.propensity.take(due)
        self.learner.observe(Feedback(run, t, now, model, chance, cost_usd, late, quality, truth, agreed, same))


def _by_run(values: NDArray[Any]) -> NDArray[Any]:
    """Return values by position, (n, n_run), run by run, (n_run, n): few runs at a time, whose values lie together."""
    out = np.empty(values.shape[::-1], dtype=values.dtype)
    for first in range(0, len(out), _TOGETHER):
        out[first : first + _TOGETHER] = values[:, first : first + _TOGETHER].T
    return out
