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

from collections.abc import Callable
from typing import Any

import numpy as np

from dacr.core.rng import seed_for
from dacr.replay.beliefs import BeliefRecord
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.effects import Effects
from dacr.replay.static import play_static
from dacr.routers.base import Learner, Router
from dacr.routers.terms import Terms, called_of, only
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
        if isinstance(router, Learner):
            router.start(n_run, len(requests.domains), seeds)
        else:
            router.seed = seeds
        missing = np.array([seed_for("missing feedback", seed) for seed in runs.seed], dtype=np.uint64)
        self.rating_draw = plan.draws(requests.key[self.order].ravel(), np.tile(missing, n)).reshape(shape)
        names = ("quality", "cost_usd", "latency_s", "late", "propensity", "p_hat", "cost_hat", "p_late")
        self.seen: dict[str, Floats] = {name: np.zeros(shape) for name in names}
        self.model = np.zeros(shape, dtype=np.int64)
        self.held = np.zeros(shape, dtype=np.int64)
        self.ends = np.zeros(shape, dtype=np.int64)
        self.due = np.zeros(shape, dtype=np.int64)
        self.price_cost, self.price_late = np.zeros(shape), np.zeros(shape)
        self.calls = np.zeros(shape, dtype=np.int64)
        self.settled = None if truth.paths is None else np.full(shape, np.nan)
        self.told_ends, self.told_due = 0, 0

    def play(self) -> Played:
        """Run the clock."""
        n = len(self.order)
        for t in range(n):
            self.told_ends = self._deliver(self.ends, t, self.told_ends, self._tell_end)
            self.told_due = self._deliver(self.due, t, self.told_due, self._tell_rating)
            self._decide(t)
            if self.tell_all:
                self._tell_everything(t)
        for s in range(self.told_ends, n):
            self._deliver_late(self.ends, s, n, self._tell_end)
        for s in range(self.told_due, n):
            self._deliver_late(self.due, s, n, self._tell_rating)
        kept = {"model": self.model, "attempts": self.calls, **self.seen}
        if self.pacer.on:
            kept |= {"price_cost": self.price_cost, "price_late": self.price_late}
        by_run: dict[str, Any] = {name: np.ascontiguousarray(kept[name].T) for name in kept if name != "late"}
        return Played(row=self.runs.order, **by_run)

    def _decide(self, t: int) -> None:
        row, arrival = self.order[t], self.runs.arrival_s[t]
        n_run = len(row)
        every = np.arange(n_run)
        effects = self.effects
        now = effects.estimates(t, self.requests.take(row).with_(arrival_s=np.full(n_run, arrival)))
        pacer = self.pacer
        terms = None
        if pacer.on:
            pacer.meet(row)
            price_cost, price_late = pacer.prices()
            self.price_cost[t], self.price_late[t] = price_cost[:, 0], price_late[:, 0]
            terms = Terms(
                price_cost,
                price_late,
                pacer.open_to,
                pacer.reprice_cost,
                p_late=pacer.see(now),
                reprice_late=pacer.reprice_late,
                pace_cost=pacer.pace_cost(),
            )
        there = effects.there_at(t, n_run, None if self.truth.recorded is None else self.truth.recorded[row])
        choice = self.router.decide(now, terms if there is None else only(there, terms))
        if self.record is not None:
            self.record.note(row, choice.beliefs.p)
        own_price = self.router.own_price() if pacer.on else None
        if own_price is not None:
            self.price_cost[t] = own_price
        m = pacer.afforded(choice.model if there is None else called_of(there, choice.model))
        refused = np.flatnonzero(m != choice.model)
        if len(refused) and isinstance(self.router, Learner):
            self.router.withdraw(refused, now.take(refused), choice.model[refused])
        self.model[t] = m
        self.calls[t] = m != SHED
        if self.settled is not None and self.truth.paths is not None:
            of_arms = self.truth.paths.of_arms
            n_arm = self.truth.quality.shape[1]
            self.calls[t] *= of_arms("calls", row, m, n_arm).astype(np.int64)
            self.settled[t] = of_arms("settled", row, m, n_arm)
        self.held[t] = pacer.reserve(choice.beliefs, m)
        happened = self._call(t, row, m, np.full(n_run, arrival))
        called = m != SHED
        for name in ("p", "cost_hat", "p_late"):
            believed = getattr(choice.beliefs, name)[every, m]
            happened["p_hat" if name == "p" else name] = np.where(called, believed, np.nan)
        for name, values in (happened | {"propensity": choice.propensity}).items():
            self.seen[name][t] = values
        quality, latency = happened["quality"], happened["latency_s"]
        # What never comes is due at position -1: ratings that go missing, and all news of a call that was not made.
        self.ends[t] = np.where(called, np.maximum(self._position(arrival + latency), t + 1), -1)
        due = np.full(n_run, t + 1 + self.plan.delay + effects.delay_at(t))
        if self.plan.delay_s is not None:
            due = np.maximum(due, self._position(arrival + latency + self.plan.delay_s))
        rated = self.rating_draw[t] >= effects.p_missing(t, self.plan.p_missing(quality))
        self.due[t] = np.where(rated & called, due, -1)

    def _call(self, t: int, row: Ints, model: Ints, arrival_s: Floats) -> dict[str, Floats]:
        """Return what the calls at position ``t`` give, all (n_run,): nothing, at once and for nothing, where shed."""
        run = np.flatnonzero(model != SHED)
        own = (row[run], model[run])
        latency, late = self.truth.latency_s[own], self.truth.late[own].astype(np.float64)
        if self.queues is not None:
            latency = self._in_line(row[run], run, model[run], arrival_s[run])
            late = (latency > self.tau_s).astype(np.float64)
        if self.effects.changes_outcomes:
            had = self.effects.outcomes(t, self.truth.take(row[run]))
            called = (np.arange(len(run)), model[run])
            quality, cost = had.quality[called], had.cost_usd[called]
        else:
            quality, cost = self.truth.quality[own], self.truth.cost_usd[own]
        gave = {"quality": quality, "cost_usd": cost, "latency_s": latency, "late": late}
        if len(run) == len(model):
            return gave
        every = {name: np.zeros(len(model)) for name in gave}
        for name, values in gave.items():
            every[name][run] = values
        return every

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

    def _position(self, moment: Floats) -> Ints:
        """Return the first position that arrives at or after each moment."""
        return np.searchsorted(self.runs.arrival_s, moment, side="left")

    def _deliver(self, calendar: Ints, t: int, start: int, tell: Callable[[Ints, Ints], None]) -> int:
        """Tell what is due at ``t``; return the first position of which something is still due later."""
        s, run = np.nonzero(calendar[start:t] == t)
        if len(run):
            tell(run, start + s)
        while start < t and (calendar[start] <= t).all():
            start += 1
        return start

    def _deliver_late(self, calendar: Ints, s: int, n: int, tell: Callable[[Ints, Ints], None]) -> None:
        """Tell what was still due at the end about the decisions at position ``s``."""
        run = np.flatnonzero(calendar[s] >= n)
        if len(run):
            tell(run, np.full(len(run), s))

    def _tell_end(self, run: Ints, t: Ints) -> None:
        where, seen = (t, run), self.seen
        cost, late = seen["cost_usd"][where], seen["late"][where]
        if self.pacer.on:
            self.pacer.settle(run, self.held[where], seen["cost_hat"][where], cost, late)
        if self.pacer.hurries:
            self.pacer.settle_late(run, self.model[where], self.requests.take(self.order[where]), late)
        self._observe(run, t, cost_usd=cost, late=late)

    def _tell_rating(self, run: Ints, t: Ints) -> None:
        self._observe(run, t, quality=self.effects.told(t, self.seen["quality"][t, run]))

    def _tell_everything(self, t: int) -> None:
        run = np.arange(self.order.shape[1])
        truth = self.effects.told_of_all(t, self.truth.take(self.order[t]))
        self._observe(run, np.full(len(run), t), all_outcomes=truth)

    def _observe(self, run: Ints, t: Ints, **news: Any) -> None:
        """Tell the router, if it learns; a full-information twin is told everything, and nothing twice."""
        if not isinstance(self.router, Learner) or self.tell_all != ("all_outcomes" in news):
            return
        where = t, run
        now = self.effects.estimates(t, self.requests.take(self.order[where]))
        model, chance = self.model[where], self.seen["propensity"][where]
        agreed = None if self.settled is None or self.tell_all else self.settled[where]
        self.router.observe(Feedback.about(now, model, run=run, t=t, propensity=chance, agreed=agreed, **news))
