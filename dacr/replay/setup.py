"""From settings and a table to what routers play in: the one place where it is assembled."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.data.table import RoutingTable
from dacr.estimates.answers.loose import Loose
from dacr.estimates.answers.read import UNREAD, read_answers
from dacr.estimates.estimator import Estimator
from dacr.estimates.features.cues import response_cues
from dacr.replay.arms import NONE, Arms, arms_of
from dacr.replay.budgets.call_bound import most_usd
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.labels import labels_for
from dacr.replay.protocols.cold_start import cues_without, without_outcomes
from dacr.replay.settings import WorldSettings
from dacr.replay.testbed import Testbed, assemble
from dacr.replay.unrecorded import as_expected, least_cost
from dacr.replay.world import World
from dacr.types import Bools, Estimates, Floats, Ints, Outcomes, Runs, Training
from dacr.workload.queueing import replicas_for


@dataclass(frozen=True)
class Setup:
    """What all routers of an experiment share.

    Attributes
    ----------
    cues_train, cues_test : (n, n_model, n_cue) float32
        What a caller can read off the responses; None where the table has none.
    replicas : (n_model,) int or None
        Replicas of each model where calls queue for them.
    cold : (n_model,) bool or None
        Models that training has no outcomes of (a late joiner): what stands there is made of the others'.
    answer : (n_query, n_model) int or None
        Codes of the answers to every query of the table; None where it has no responses, or no plans are asked for.
    arms : Arms or None
        The models with plans behind them, where there are plans.
    """

    settings: WorldSettings
    estimator: Estimator
    cues_train: NDArray[np.float32] | None
    cues_test: NDArray[np.float32] | None
    replicas: NDArray[np.int64] | None = None
    cold: Bools | None = None
    answer: Ints | None = None
    arms: Arms | None = None

    @cached_property
    def truth(self) -> Outcomes:
        """What the models really gave on the test rows."""
        rows = self.estimator.test
        return self.estimator.outcomes(rows, self.cues_test, None if self.answer is None else self.answer[rows])

    @cached_property
    def trained_on(self) -> Outcomes:
        """What the models gave on the training rows; answers of cold models are unread."""
        rows = self.estimator.train
        answer = None if self.answer is None else self.answer[rows]
        if answer is not None and self.cold is not None:
            answer = np.where(self.cold, UNREAD, answer)
        return self.estimator.outcomes(rows, self.cues_train, answer)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of all that can be chosen: the models, and the plans behind them."""
        return self.estimator.table.model if self.arms is None else self.arms.names

    def testing(self, predictor: str, calibrator: str) -> Estimates:
        """Return estimates of the models on the test rows."""
        return self.estimator.testing(predictor, calibrator)

    @cached_property
    def world(self) -> World:
        """What a replay needs of this setup."""
        settings = self.settings
        seeds = tuple(settings.seeds)
        names = stream_orders(seeds, settings.orders)
        effects = settings.stream_protocol.effects(len(self.truth), self.estimator.table.model, seeds[0])
        return World(
            FeedbackPlan(settings.dacr_delay, settings.dacr_p_miss, settings.delay_s, settings.miss_depends_on),
            settings.tau_seconds,
            settings.expected_requests(len(self.truth)),
            settings.dacr_mu_lr,
            self.truth,
            static=self.runs(seeds, recorded=seeds),
            learning=self.runs(names, recorded=names[:1]),
            replicas=self.replicas,
            effects=effects if effects.any else None,
            arms=None if self.arms is None else self.arms.truth,
            cost_share=None if self.arms is None else self.arms.cost_share,
            most_usd=self.most_usd,
        )

    @property
    def most_usd(self) -> Floats | None:
        """The most that a call of each model can cost, (n, n_model) USD; None where nobody asked."""
        asked, estimator = self.settings.max_call_usd, self.estimator
        return most_usd(asked, estimator.table, estimator.train, estimator.test) if asked else None

    def runs(self, seeds: tuple[int, ...], recorded: tuple[int, ...]) -> Runs:
        """Return one run per seed: in the protocol's order where it has one, else as recorded, else shuffled.

        Parameters
        ----------
        recorded : tuple of int
            The seeds whose runs take the stream as it was recorded.
        """
        rows, protocol = self.estimator.test, self.settings.stream_protocol
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
            least = 1.25 * least_cost(self.truth)
            grid = np.geomspace(least, max(single.max(), least), self.settings.budget_grid)
            costs += [float(f"{value:.4g}") for value in grid]
        late = list(self.settings.budget_late)
        if not costs and not late:
            return []
        return [(cost, share) for cost in costs or [np.inf] for share in late or [np.inf]]

    def with_plans(self) -> tuple[Arms | None, str]:
        """Return the arms with the plans that settings ask for, or None with the reason why there are none."""
        settings, estimator = self.settings, self.estimator
        asked = settings.plans, settings.n_plans
        return arms_of(*asked, self.trained_on, self.truth, estimator, settings.tau_seconds, self.cold)

    def training(self, predictor: str, calibrator: str) -> Training:
        """What a router is fitted on: estimates of the given parts, and what happened."""
        made = Training(
            self.estimator.training(predictor, calibrator),
            self.trained_on,
            self.settings.tau_seconds,
            self.estimator.calibrators[predictor, calibrator],
            self.cold,
        )
        return as_expected(made)


def stream_orders(seeds: tuple[int, ...], n_order: int) -> tuple[int, ...]:
    """Name ``n_order`` runs: the seeds first, then the whole numbers after the largest of them.

    Examples
    --------
    >>> stream_orders((1, 2, 3), 5)
    (1, 2, 3, 4, 5)
    """
    more = range(max(seeds) + 1, max(seeds) + 1 + n_order)
    return (*seeds, *more)[:n_order]


def set_up(
    settings: WorldSettings,
    table: RoutingTable,
    cache: Cache,
    *,
    features: NDArray[np.float32] | None = None,
    max_queries: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Testbed, Setup]:
    """Assemble the testbed and the setup; nothing is fitted until it is asked for.

    Parameters
    ----------
    features : (n_query, n_feature) float32, optional
        Replace the project's own, and those of ``settings.features``.
    max_queries : int
        Play at most so many test queries, the first of the stream; 0 plays all.
    progress : callable
        Is told what is being computed.
    """
    bed = assemble(settings, table, cache)
    if 0 < max_queries < len(bed.test):
        bed = replace(bed, test=bed.test[:max_queries], arrival_s=bed.arrival_s[:max_queries])
    names, n = table.model, len(bed.test)
    cold = settings.stream_protocol.effects(n, names, settings.seeds[0]).cold
    if cold is not None:
        bed = replace(bed, table=without_outcomes(bed.table, bed.train, cold))
    estimator = estimator_of(settings, bed, cache, features=features, progress=progress)
    estimator.label = labels_for(settings, bed, estimator.x if settings.domain_info == "inferred" else None)
    cues = cached_cues(cache, bed)
    replicas = replicas_for(settings.replicas, table.model) if settings.replicas else None
    if cold is not None:
        cues = cues_without(cues[0], cold), cues[1]
    progress("plans")
    setup = Setup(settings, estimator, *cues, replicas, cold, cached_answers(settings, cache, bed))
    arms, bed.sources["plans"] = setup.with_plans()
    return bed, replace(setup, arms=arms)


def read_off(bed: Testbed, setup: Setup) -> Testbed:
    """Give up the responses that no router of this setup will read, which are most of a table; return the testbed.

    Routers read those of test rows (:mod:`dacr.routers.texts`); under budgets cascades read the others too.
    """
    if setup.budgets:
        return bed
    setup.estimator.table = bed.table.with_responses_of(bed.test)
    return replace(bed, table=setup.estimator.table)


def estimator_of(
    settings: WorldSettings,
    bed: Testbed,
    cache: Cache,
    *,
    features: NDArray[np.float32] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Estimator:
    """Return the estimates of a testbed; nothing is fitted until it is asked for. Arguments as in :func:`set_up`."""
    return Estimator(
        table=bed.table,
        train=bed.train,
        test=bed.test,
        arrival_s=bed.arrival_s,
        tau_s=settings.tau_seconds,
        cache=cache,
        n_jobs=settings.n_jobs,
        features=given_features(settings, bed.table.n_query) if features is None else features,
        progress=progress,
    )


def given_features(settings: WorldSettings, n_query: int) -> Any:
    """Read features of the user's own, or return None."""
    if settings.features is None:
        return None
    path = files.existing_file(settings.features)
    try:
        x = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"--features {path} is not a .npy file of numbers: {error}") from None
    if x.ndim != 2 or len(x) != n_query or not np.issubdtype(x.dtype, np.number) or not np.isfinite(x).all():
        raise UserError(
            f"--features {path}: expected finite numbers of shape ({n_query}, n_feature), one row per query of the "
            f"table in its order, got {x.dtype} of shape {x.shape}"
        )
    return x.astype(np.float32)


def cached_cues(cache: Cache, bed: Testbed) -> tuple[Any, Any]:
    """Return the cues of the responses to training and to test queries; None each where there are no responses."""
    response = bed.table.response
    if response is None:
        return None, None
    parts = {"response": response, "n_model": bed.table.n_model}
    cues = cache.get("cues", parts, lambda: {"cues": response_cues(response, bed.table.n_model)})["cues"]
    return cues[bed.train], cues[bed.test]


def cached_answers(settings: WorldSettings, cache: Cache, bed: Testbed) -> Ints | None:
    """Return the codes of all answers, (n_query, n_model); None where nobody asks for plans, or nothing is recorded."""
    response, n_model = bed.table.response, bed.table.n_model
    if settings.plans == NONE or response is None:
        return None
    loose = None if settings.loose_answers is None else Loose(settings.loose_answers, bed.train)
    parts = {"response": response, "n_model": n_model, "loose": loose}
    code: Ints = cache.get("answers", parts, lambda: {"code": read_answers(response, n_model, loose=loose)})["code"]
    return code
