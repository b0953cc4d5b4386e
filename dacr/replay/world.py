"""Where routers play: what all routers of an experiment share, and the part of it that a replay needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import generator
from dacr.estimates.estimator import Estimator
from dacr.replay.entry import Point
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.combined import parse
from dacr.replay.protocols.effects import Effects
from dacr.replay.settings import ExperimentSettings
from dacr.types import Bools, Ints, Outcomes, Runs, Training


@dataclass(frozen=True)
class Field:
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
    record_beliefs : bool
        Keep what a learner believed of every model, at the middle point of its frontier.
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
    record_beliefs: bool = False

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
            return self.truth
        every = []
        for one in order:
            had, there = self.effects.over(one, self.truth), self.effects.there(one)
            every.append(had if there is None else replace(had, quality=np.where(there, had.quality, np.nan)))
        names = ("quality", "cost_usd", "latency_s", "late")
        return Outcomes(**{name: np.stack([getattr(one, name) for one in every]) for name in names})


@dataclass(frozen=True)
class Arena:
    """What all routers of an experiment share.

    Attributes
    ----------
    cues_train, cues_test : (n, n_model, n_cue) float32
        What a caller can read off the responses; None where the table has none.
    replicas : (n_model,) int or None
        Replicas of each model where calls queue for them.
    cold : (n_model,) bool or None
        Models that training has no outcomes of (a late joiner): what stands there is made of the others'.
    """

    settings: ExperimentSettings
    estimator: Estimator
    cues_train: NDArray[np.float32] | None
    cues_test: NDArray[np.float32] | None
    replicas: NDArray[np.int64] | None = None
    cold: Bools | None = None

    @cached_property
    def truth(self) -> Outcomes:
        """What really happened on the test rows."""
        return self.estimator.outcomes(self.estimator.test, self.cues_test)

    @cached_property
    def field(self) -> Field:
        """What a replay needs of this arena."""
        settings = self.settings
        seeds = tuple(settings.seeds)
        names = stream_orders(seeds, settings.orders)
        effects = parse(settings.protocol).effects(len(self.truth), self.estimator.table.model, seeds[0])
        return Field(
            FeedbackPlan(settings.dacr_delay, settings.dacr_p_miss, settings.delay_s, settings.miss_depends_on),
            settings.tau_seconds,
            settings.expected_requests(len(self.truth)),
            settings.dacr_mu_lr,
            self.truth,
            static=self.runs(seeds, recorded=seeds),
            learning=self.runs(names, recorded=names[:1]),
            replicas=self.replicas,
            effects=effects if effects.any else None,
        )

    def runs(self, seeds: tuple[int, ...], recorded: tuple[int, ...]) -> Runs:
        """Return one run per seed: in the protocol's order where it has one, else as recorded, else shuffled.

        Parameters
        ----------
        recorded : tuple of int
            The seeds whose runs take the stream as it was recorded.
        """
        rows, protocol = self.estimator.test, parse(self.settings.protocol)
        domain = list(self.estimator.table.domain[rows])
        # How much a request gains from the dearest model: what an adversarial order sorts by.
        mean_cost = self.truth.cost_usd.mean(axis=0)
        gain = self.truth.quality[:, mean_cost.argmax()] - self.truth.quality[:, mean_cost.argmin()]
        orders = []
        for name in seeds:
            own = protocol.order(domain, name, gain)
            if own is None:
                own = np.arange(len(rows))
                if name not in recorded:
                    own = generator("stream order", name).permutation(len(rows))
            orders.append(own)
        return Runs(np.stack(orders), self.estimator.arrival_s, seeds)

    @cached_property
    def budgets(self) -> list[tuple[float, float]]:
        """Pairs (cost, late share) that every router is held to; infinity where one is off."""
        costs = list(self.settings.budget_cost)
        if self.settings.budget_grid:
            single = self.truth.cost_usd.mean(axis=0)
            grid = np.geomspace(1.25 * single.min(), max(single.max(), 1.25 * single.min()), self.settings.budget_grid)
            costs += [float(f"{value:.4g}") for value in grid]
        late = list(self.settings.budget_late)
        if not costs and not late:
            return []
        return [(cost, share) for cost in costs or [np.inf] for share in late or [np.inf]]

    def training(self, predictor: str, calibrator: str) -> Training:
        """What a router is fitted on: estimates of the given parts, and what happened."""
        return Training(
            self.estimator.training(predictor, calibrator),
            self.estimator.outcomes(self.estimator.train, self.cues_train),
            self.settings.tau_seconds,
            self.estimator.calibrators[predictor, calibrator],
            self.cold,
        )


def stream_orders(seeds: tuple[int, ...], n_order: int) -> tuple[int, ...]:
    """Name ``n_order`` runs: the seeds first, then the whole numbers after the largest of them.

    Examples
    --------
    >>> stream_orders((1, 2, 3), 5)
    (1, 2, 3, 4, 5)
    """
    more = range(max(seeds) + 1, max(seeds) + 1 + n_order)
    return (*seeds, *more)[:n_order]
