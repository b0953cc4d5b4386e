"""The Router contract. A new router is one registered class with one ``scores`` method."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np

from dacr.routers.terms import Choice, Terms, argmax_fair
from dacr.types import SHED, Attempts, Bools, Estimates, Feedback, Floats, Ints, Keys, Outcomes, Training

BUDGETS = ("budget_cost", "budget_late")
"""Arguments of routers that keep budgets of their own."""


@dataclass(frozen=True)
class Sweep:
    """What one experiment asks of every router: the grid of prices, and the operator's wishes.

    Attributes
    ----------
    lambdas : tuple of float
        Prices of a dollar, in quality per USD: one point of the frontier each.
    lambda_late : float
        Price of a late answer, in quality.
    thresholds : tuple of float
        Positions of routers that sweep a share or a threshold instead of a price.
    arguments : mapping of str to mapping
        By a router's name: constructor arguments that it gets in place of the above and of its defaults. Where it has
        no argument ``budget_cost`` or ``budget_late``, the arena keeps such a budget along its frontier.
    """

    lambdas: tuple[float, ...] = (1.0, 5.0, 10.0, 20.0)
    lambda_late: float = 1.0
    thresholds: tuple[float, ...] = tuple(i / 10 for i in range(11))
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def kept_for(self, cls: type[Router]) -> tuple[float, float]:
        """Return the budgets that the arena keeps along a router's frontier: USD per request, share of late answers."""
        asked, own = self.arguments.get(cls.name, {}), arguments_of(cls)
        cost, late = (np.inf if name in own else asked.get(name, np.inf) for name in BUDGETS)
        return float(cost), float(late)


class Router:
    """Base of all routers; :class:`Learner`, :class:`Cascade` and :class:`Reference` add what they alone can do.

    Attributes
    ----------
    predictor, calibrator : str or None
        Registered names of the parts whose estimates this router reads; None takes the experiment's.
    takes_plans, needs_plans : bool
        Plans are among the arms that it chooses from; it is about plans, and does not play where there are none.
    budget : {"arena", "own", "ways", "none"}
        Who keeps an enforced budget: the arena's price and ledger; the router, which has an argument ``budget_cost``
        and keeps it by a price of its own, as its paper says, while the ledger guards without pricing; the arena again,
        which chooses for each request how a cascade is played (:mod:`dacr.replay.budgets.ways`); or nobody.
    stackable : tuple of str
        Constructor arguments that may differ between runs played at once; :func:`stack` turns each
        into an array of shape (n_run, 1), so that a formula reads the same for one run and for many.
    tunable : mapping
        Constructor arguments that may be chosen on training domains, with the values to try.
    learns, several_attempts, clairvoyant : bool
        Whether it is a :class:`Learner`, a :class:`Cascade`, a :class:`Reference`.
    full_information, reads_quality, whole_stream : bool
        As these classes say; a router that is none of them has no use for them.
    seed : int or (n_run,) uint64
        Names the draws that break ties.
    horizon : int or None
        Requests that will come, as far as the arena knows; set before a stream is played.
    fallback : float or None
        What a request that nobody answers is worth, in quality; None where every request is to be answered.
    """

    name: ClassVar[str] = ""
    predictor: ClassVar[str | None] = None
    calibrator: ClassVar[str | None] = None
    budget: ClassVar[Literal["arena", "own", "ways", "none"]] = "arena"
    takes_plans: ClassVar[bool] = True
    needs_plans: ClassVar[bool] = False
    stackable: ClassVar[tuple[str, ...]] = ()
    tunable: ClassVar[Mapping[str, Sequence[float]]] = {}
    learns: ClassVar[bool] = False
    several_attempts: ClassVar[bool] = False
    clairvoyant: ClassVar[bool] = False
    full_information: bool = False
    reads_quality: ClassVar[bool] = False
    whole_stream: ClassVar[bool] = False

    seed: int | Keys = 0
    horizon: int | None = None
    fallback: float | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments by name; they become columns of every result."""
        return {name: getattr(self, name) for name in arguments_of(type(self))}

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return the constructor arguments of each point of this router's frontier."""
        known = arguments_of(cls)
        asked = {"lambda_late": sweep.lambda_late, **sweep.arguments.get(cls.name, {})}
        fixed = {name: value for name, value in asked.items() if name in known}
        return [{"lambda_cost": value, **fixed} for value in sweep.lambdas] if "lambda_cost" in known else [fixed]

    @classmethod
    def budget_setting(cls, sweep: Sweep) -> dict[str, Any] | None:
        """Return the arguments with which a router plays under an enforced budget; None where they vary, or it can't.

        The default is the point of the frontier that does not look at money: lambda_cost = 0, or else the
        last one; the arena's price of money then does what lambda does elsewhere. Budgets of the router's own are off:
        one budget is not paid twice.
        """
        if cls.budget in ("ways", "none"):
            return None
        point = cls.settings(sweep)[-1]
        own = {name: np.inf for name in BUDGETS if name in point}
        return {**point, **own, **dict.fromkeys({"lambda_cost"} & set(point), 0.0)}

    def fit(self, train: Training) -> Self:
        """Learn from the training part, whose estimates are out-of-fold. The default learns nothing."""
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return ``(n, n_model)`` scores, higher is better, in units of quality where that is possible.

        A row may depend on its own request alone (and, for learners, on feedback observed before).
        """
        raise NotImplementedError(f"{type(self).__name__} must define scores(requests)")

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return the estimates after what feedback has taught; the default has learnt nothing."""
        return requests

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Choose the best model of each request, ties broken by a seeded draw.

        Parameters
        ----------
        terms : Terms, optional
            What the arena asks under a budget: shadow prices, and which models are affordable.
        """
        beliefs = self.beliefs(requests)
        scores = self.checked_scores(requests)
        if terms is not None:
            scores = terms.apply(scores, beliefs)
        model, propensity = argmax_fair(scores, requests.key, self.seed)
        return self.abstained(Choice(model, propensity, beliefs), scores)

    @property
    def abstains(self) -> bool:
        """Whether it leaves requests unanswered: it chooses one arm, by values in units of quality, and may."""
        return self.fallback is not None and hasattr(self, "lambda_cost") and not self.several_attempts

    def abstained(self, choice: Choice, scores: Floats) -> Choice:
        """Return a choice with ``SHED`` where no arm is worth more than a request that nobody answers.

        Parameters
        ----------
        scores : (n, n_arm) float
            Net values, -infinity for arms that are not open.
        """
        if not self.abstains:
            return choice
        answered = scores.max(axis=1) > self.fallback
        model, propensity = np.where(answered, choice.model, SHED), np.where(answered, choice.propensity, 1.0)
        return Choice(model, propensity, choice.beliefs)

    def own_price(self) -> Floats | None:
        """Return the price of a dollar that a router has set itself, (n_run,) in quality per USD; else None."""
        return None

    def checked_scores(self, requests: Estimates) -> Floats:
        """Call :meth:`scores` and refuse a wrong shape or a value that is not finite."""
        scores, expected = np.asarray(self.scores(requests), dtype=float), (len(requests), len(requests.models))
        if scores.shape != expected:
            raise ValueError(f"{type(self).__name__}.scores returned shape {scores.shape}, expected {expected}")
        if not math.isfinite(scores.sum()) and not np.isfinite(scores).all():  # a sum tells sooner
            raise ValueError(f"{type(self).__name__}.scores returned values that are not finite")
        return scores


class Learner(Router):
    """A router that takes feedback.

    The arena plays ``n_run`` independent runs at once: ``scores`` and ``beliefs`` get one request per run, and
    state has a leading run axis.

    Attributes
    ----------
    full_information : bool
        A twin (:func:`twin_of`) that is told every model's outcome after each decision: the limit of what can be
        learnt.
    reads_quality : bool
        Whether ratings change what it decides.
    """

    learns: ClassVar[bool] = True
    reads_quality: ClassVar[bool] = True

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Prepare ``n_run`` parallel runs: forget all feedback. ``seeds`` : (n_run,) uint64."""
        raise NotImplementedError(f"{type(self).__name__} must define start(n_run, n_domain, seeds)")

    def observe(self, feedback: Feedback) -> None:
        """Take feedback that is due."""
        raise NotImplementedError(f"{type(self).__name__} must define observe(feedback)")

    def withdraw(self, run: Ints, requests: Estimates, model: Ints) -> None:
        """Take back calls that were just decided and not made: no news of them will come; all (n,)."""


class Cascade(Router):
    """A router that may reject an answer and call another model: what it spends is decided between calls."""

    draws: ClassVar[bool] = True  # calls may depend on ``seed``; without, one play serves all stream orders
    several_attempts: ClassVar[bool] = True
    takes_plans: ClassVar[bool] = False
    budget: ClassVar[Literal["arena", "own", "ways", "none"]] = "ways"

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the model to call next for each request, or ``SHED``, after the calls that were ``tried``."""
        raise NotImplementedError(f"{type(self).__name__} must define propose(requests, tried)")

    def accept(self, requests: Estimates, attempt: Attempts) -> Bools:
        """Say for each request whether this answer is good enough; the default takes any."""
        return np.ones(len(requests), dtype=bool)

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the place in ``tried`` of the answer that is kept, -1 to go on; the default asks about the last."""
        return np.where(self.accept(requests, tried[-1]), len(tried) - 1, -1)

    def may_call(self, n_model: int) -> Ints:
        """Return the models that it may call for a request, in order where there is one; the default is every model."""
        return np.arange(n_model)


class Reference(Router):
    """A router that is given the truth as its estimates: no rival, marked in every table and figure.

    Attributes
    ----------
    whole_stream : bool
        A request's scores depend on the other requests, which it is handed all at once.
    """

    clairvoyant: ClassVar[bool] = True

    def foresee(self, requests: Estimates, truth: Outcomes) -> None:
        """Take all requests of the test part before the first, and what every model gave there."""


OfLearner = TypeVar("OfLearner", bound=Learner)


def twin_of(cls: type[OfLearner], tunable: Mapping[str, Sequence[float]] = MappingProxyType({})) -> type[OfLearner]:
    """Return a learner's full-information twin: told every model's outcome, it has no use for exploration.

    Bind it to ``<class>Full`` beside it, where other processes look for it. ``tunable`` replaces the learner's.
    """
    name = f"{cls.__name__}Full"
    told = f"{cls.__name__}'s full-information twin: told every model's outcome after each decision. No rival."
    names = {"__doc__": told, "__module__": cls.__module__, "__qualname__": name}
    return type(name, (cls,), {**names, "full_information": True, "tunable": tunable})


_arguments: dict[type[Router], list[str]] = {}


def arguments_of(cls: type[Router]) -> list[str]:
    """Return the names of a router's constructor arguments; looked up once, as each point of a frontier is asked."""
    if cls not in _arguments:
        parameters = inspect.signature(cls).parameters.items()
        _arguments[cls] = [name for name, kind in parameters if kind.kind is kind.KEYWORD_ONLY]
    return _arguments[cls]


def stack(routers: Sequence[Router]) -> Router:
    """Merge fitted routers of one class that differ in ``stackable`` arguments into one of many runs."""
    merged = copy.copy(routers[0])
    for name in merged.stackable:
        setattr(merged, name, np.array([float(getattr(router, name)) for router in routers])[:, None])
    return merged


def with_setting(fitted: Router, setting: dict[str, Any]) -> Router:
    """Return a fitted router with other ``stackable`` arguments; what it learnt in ``fit`` is shared."""
    changed = [name for name in set(setting) - set(fitted.stackable) if setting[name] != getattr(fitted, name)]
    if changed:
        raise ValueError(f"{type(fitted).__name__} must be fitted again for another {changed}: not in `stackable`")
    other = copy.copy(fitted)
    vars(other).update(setting)
    return other
