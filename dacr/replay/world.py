"""The world that routers play in: what really happens on a stream, and what is told of it."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dacr.replay.entry import Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.effects import Effects
from dacr.types import Floats, Ints, Outcomes, Runs


@dataclass(frozen=True)
class World:
    """All that a replay needs beside the router, and nothing else.

    It is sent to other processes, and what was played is kept by its content (:mod:`dacr.replay.kept`).

    Attributes
    ----------
    plan : FeedbackPlan
        When ratings come, and whether.
    tau_s : float
        A call that takes longer is late.
    horizon : int or None
        Requests that a budget's pacer expects.
    eta : float
        Step size of the budgets' dual variables.
    static, learning : Runs
        Of points where the order of the stream plays no part, and of those where it does: learners, and all that
        keeps a budget, queues, or meets a protocol.
    replicas : (n_model,) int or None
        Replicas of each model where calls queue for them.
    effects : Effects or None
        What a protocol does to outcomes and feedback along the stream.
    most_usd : (n, n_model) float or None
        The most that a call of each model can cost for each request, where budgets are to be kept to the cent.
    record_beliefs : bool
        Keep what a learner believed of every model, at the middle point of its frontier.
    arms : Outcomes or None
        The truth with a column for each plan behind those of the models, where there are plans.
    cost_share : (n_plan, n_model) float or None
        Share of each model in a plan's mean training cost.
    """

    plan: FeedbackPlan
    tau_s: float
    horizon: int | None
    eta: float
    truth: Outcomes
    static: Runs
    learning: Runs
    replicas: NDArray[np.int64] | None = None
    effects: Effects | None = None
    most_usd: Floats | None = None
    record_beliefs: bool = False
    arms: Outcomes | None = None
    cost_share: Floats | None = None

    def for_arms(self, n_arm: int) -> Self:
        """Return the world of a router that knows so many arms: that of the models, or that with plans."""
        if self.arms is None:
            return self
        if n_arm == self.truth.quality.shape[1]:
            return replace(self, arms=None, cost_share=None)
        effects, most = self.effects, self.most_usd
        if most is not None and self.arms.paths is not None:
            member = self.arms.paths.member  # a plan may call all of its models
            most = np.concatenate([most, np.where(member >= 0, most[:, member], 0.0).sum(axis=2)], axis=1)
        if effects is not None and self.arms.paths is not None and self.cost_share is not None:
            effects = effects.with_plans(self.arms.paths.member, self.cost_share)
        return replace(self, truth=self.arms, effects=effects, arms=None, cost_share=None, most_usd=most)

    def order_matters(self, point: Point) -> bool:
        """Say whether what comes of a point depends on the order of the stream.

        A router of several calls for a request keeps no budget and waits in no queue, but meets protocols.
        """
        if point.router.learns or self.effects is not None:
            return True
        return not point.router.several_attempts and (point.bounded or self.replicas is not None)

    def runs_of(self, point: Point) -> Runs:
        """Return the runs in which a point is played: every router the same ones, wherever the order matters."""
        return self.learning if self.order_matters(point) else self.static

    def offered(self, order: Ints) -> Outcomes:
        """Return what models had to offer in runs of these orders, rows in table order.

        (n_row, n_model), or (n_run, n_row, n_model) where a protocol makes runs differ; quality is NaN where a model
        was not there. Waits behind replicas are not in it: they depend on the calls before.

        Parameters
        ----------
        order : (n_run, n) int
        """
        if self.effects is None:
            return replace(self.truth, quality=self.truth.known(self.truth.quality))
        every = []
        for one in order:
            had, there = self.effects.over(one, self.truth), self.effects.there(one, self.truth.recorded)
            every.append(had if there is None else replace(had, quality=np.where(there, had.quality, np.nan)))
        names = ("quality", "cost_usd", "latency_s", "late")
        quality, cost_usd, latency_s, late = (np.stack([getattr(one, name) for one in every]) for name in names)
        return Outcomes(quality, cost_usd, latency_s, late)
