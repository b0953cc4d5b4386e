"""A trained router in one file: what ``run_experiment --save_router`` writes and ``route_live`` reads.

The file holds numbers, texts and arrays (:mod:`dacr.replay.state_file`): reading it executes nothing.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core import registry
from dacr.core.compiled import uncompiled
from dacr.core.errors import UserError
from dacr.core.registry import predictors
from dacr.core.rng import keys_of, seed_for
from dacr.estimates.answers.read import UNREAD
from dacr.estimates.estimator import Estimator
from dacr.estimates.features.question import questions_of
from dacr.estimates.features.text import TextFeatures, hashed_counts
from dacr.estimates.fitted import Fitted
from dacr.estimates.predictors.cost import CostPredictor, cost_features
from dacr.estimates.predictors.lateness import LatenessPredictor
from dacr.replay.arms import Arms
from dacr.replay.play import enter, parts_of
from dacr.replay.setup import Setup
from dacr.replay.state_file import read_state, write_state
from dacr.routers.base import Learner, Router, Sweep
from dacr.routers.plans.base import Plan
from dacr.routers.plans.costs import PlanCosts
from dacr.routers.plans.paths import walk
from dacr.types import Estimates, Feedback


@dataclass(frozen=True)
class Decided:
    """A decision on one request.

    Attributes
    ----------
    arm : int
        Of the estimates' columns.
    members : tuple of str
        The models of the chosen arm.
    order : tuple of str or Plan
        The chosen arm, then models that are none of its own, by score.
    expected : tuple of float in [0, 1]
        The quality that the router expects of each of ``order``.
    """

    t: int
    request: Estimates
    arm: int
    propensity: float
    members: tuple[str, ...]
    order: tuple[str | Plan, ...]
    expected: tuple[float, ...]


@dataclass
class SavedRouter:
    """A fitted router with all that turns a prompt into its estimates.

    Attributes
    ----------
    predictors : list
        Of the models, and where there are plans of the plans.
    calibrators : list
        One for each arm.
    plans : tuple of Plan
        Arms behind the models.
    costs : PlanCosts or None
        What these are expected to cost.
    domains : tuple of str
        Names of the domain codes; any other label is unknown to it.
    tau_s : float, seconds
        A call that takes longer is late.
    """

    router: Router
    features: TextFeatures
    predictors: list[Any]
    calibrators: list[Any]
    cost: CostPredictor
    late: LatenessPredictor
    models: tuple[str, ...]
    domains: tuple[str, ...]
    tau_s: float
    plans: tuple[Plan, ...] = ()
    costs: PlanCosts | None = None

    @property
    def arms(self) -> tuple[str | Plan, ...]:
        """What it chooses from."""
        return (*self.models, *self.plans)

    def estimates(self, prompts: Sequence[str], domains: Sequence[str] | None = None) -> Estimates:
        """Return what the router may know about these prompts, as in replay."""
        named = np.array(["" for _ in prompts] if domains is None else list(domains), dtype=object)
        questions = questions_of(prompts)
        x: NDArray[np.float32] = self.features.transform(hashed_counts(questions))
        raw = np.column_stack([np.asarray(one.predict(x), dtype=float) for one in self.predictors])
        z = cost_features(np.array([len(text) for text in prompts]), np.array([len(text) for text in questions]), x)
        mean, upper = self.cost.predict(z)
        if self.costs is not None:
            mean, upper = self.costs.beside(mean, upper)
        names = (*self.models, *(plan.spec for plan in self.plans))
        fitted = Fitted(names, self.domains, self.calibrators)
        return fitted.estimates(keys_of(prompts), x, named, raw, mean, self.late.predict(z), cost_upper=upper)

    def decide(self, request: Estimates, t: int = 0) -> Decided:
        """Decide on one request."""
        choice = self.router.decide(request)
        first = int(choice.model[0])
        scores = self.router.checked_scores(request)[0]
        arm = self.arms[first]
        members = arm.members if isinstance(arm, Plan) else (arm,)
        best = np.argsort(-scores[: len(self.models)], kind="stable").tolist()
        columns = [first, *(m for m in best if self.models[m] not in members)]
        order, expected = tuple(self.arms[m] for m in columns), tuple(choice.beliefs.p[0, columns].tolist())
        return Decided(t, request, first, float(choice.propensity[0]), members, order, expected)

    def observe(self, decided: Decided, cost_usd: float | None, latency_s: float, agreed: float | None = None) -> None:
        """Tell a learner that the calls it chose have ended; ``agreed``: whether a plan's first round settled it."""
        if isinstance(self.router, Learner):
            cost = np.nan if cost_usd is None or cost_usd <= 0 else cost_usd
            arm, settled = np.array([decided.arm]), np.array([np.nan if agreed is None else agreed])
            late, t, chance = float(latency_s > self.tau_s), decided.t, decided.propensity
            self.router.observe(
                Feedback.about(decided.request, arm, t=t, propensity=chance, cost_usd=cost, late=late, agreed=settled)
            )


def save_router(
    path: str | Path, router: Router, estimator: Estimator, predictor: str, calibrator: str, arms: Arms | None = None
) -> None:
    """Write a fitted router with its features, predictors and calibrators.

    Parameters
    ----------
    router : Router
        At the point of its frontier that is to be used.
    predictor, calibrator : str
        Registered names of the parts whose estimates it read.
    arms : Arms, optional
        What it chooses from, where that is more than the models.

    Raises
    ------
    UserError
        The experiment used features of the user's own, which a live prompt does not have.
    """
    if estimator.features is not None:
        raise UserError("--save_router needs the project's own features; leave out --features")
    table, train = estimator.table, estimator.train
    if table.recorded is not None:
        raise UserError("--save_router: a router is saved from complete outcomes; prepare with --missing_outcomes drop")
    if isinstance(router, Learner):
        router = copy.deepcopy(router)
        router.start(1, len(estimator.domains), np.array([seed_for("live")], dtype=np.uint64))
    questions = questions_of(table.prompt)
    features = TextFeatures().fit(hashed_counts([questions[i] for i in train]))
    x = estimator.x
    lengths = [np.array([len(text) for text in texts])[train] for texts in (table.prompt, questions)]
    z = cost_features(lengths[0], lengths[1], x[train])
    parts = [estimator] if arms is None else [estimator, arms.of_plans]
    latency_s = table.latency_s[train] if arms is None else arms.trained_on.latency_s
    saved = SavedRouter(
        router=router,
        features=features,
        predictors=[predictors.get(predictor)().fit(x[train], one.table.quality[train]) for one in parts],
        calibrators=[own for one in parts for own in one.calibrators[predictor, calibrator]],
        cost=CostPredictor().fit(z, table.cost_usd[train], estimator.fold),
        late=LatenessPredictor().fit(z, latency_s, estimator.tau_s, estimator.fold),
        models=tuple(str(name) for name in table.model),
        domains=estimator.domains,
        tau_s=estimator.tau_s,
        plans=() if arms is None else arms.plans,
        costs=None if arms is None else arms.costs,
    )
    write_state(path, saved)


def router_to_save(names: Sequence[str], sweep: Sweep) -> str:
    """Return which of an experiment's routers is to be saved: the only one, else dacr.

    Raises
    ------
    UserError
        Neither is there, or the router has several points: which one is to be used live must be said, as the first
        price of a grid is 0, at which a router spends without looking.
    """
    name = names[0] if len(names) == 1 else "dacr"
    if name not in names:
        raise UserError(f"--save_router saves one router; name it alone, such as --routers {names[0]}")
    points = registry.routers.get(name).settings(sweep)
    if len(points) > 1:
        raise UserError(
            f"--save_router saves {name} at one price of money, and --lambdas has {len(points)}: "
            f"{','.join(f'{value:g}' for value in sweep.lambdas)}; name one, such as --lambdas 50"
        )
    return name


def save_from_setup(path: str | Path, setup: Setup, name: str) -> None:
    """Fit the registered router ``name`` as an experiment does and write it, at its one point."""
    entry = enter(name, setup)
    router = entry.points[0].router
    router.fallback = None  # a live request is always answered
    predictor, calibrator = parts_of(type(router), setup.settings)
    save_router(path, router, setup.estimator, predictor, calibrator, setup.arms if router.takes_plans else None)


def load_router(path: str | Path) -> SavedRouter:
    """Read what :func:`save_router` wrote, and try it on a prompt.

    Raises
    ------
    UserError
        No such file, or none that this version wrote whole.
    """
    saved = read_state(path, SavedRouter)
    try:
        with uncompiled():  # one decision is sooner made than numba is loaded
            copy.deepcopy(saved).decide(saved.estimates(["Is this a router?"]))
        for plan in saved.plans:  # each ends, whether all agree or nobody does, and has models that are there
            walk(plan, np.array([[UNREAD], [0]]).repeat(len([saved.models.index(m) for m in plan.members]), axis=1))
    except Exception as error:
        raise UserError(
            f"{path} holds a router that does not decide ({type(error).__name__}); save it again with "
            "run_experiment.py --save_router FILE"
        ) from None
    return saved
