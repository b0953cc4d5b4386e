"""The Router contract. A new router is one registered class with one ``scores`` method."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dacr.core.rng import keyed_uniform
from dacr.types import SHED, Attempts, Bools, Estimates, Feedback, Floats, Ints, Keys, Training


@dataclass(frozen=True)
class Sweep:
    """What one experiment asks of every router: the grid of prices, and the operator's wishes.

    Attributes
    ----------
    lambdas : tuple of float
        Prices of a dollar, in quality per USD: one point of the frontier each.
    lambda_late, dacr_lambda_late : float
        Price of a late answer, in quality.
    budget_cost, budget_late : float or None
        What dacr, dacr_full and dacr_eq9 are to keep along their frontiers; those of other routers are free.
    mu_lr, cal_lr : float
        Learning rates of the duals, and of the bias of dacr_eq9.
    floor : float
        Share of a learner's choices made uniformly.
    thresholds : tuple of float
        Positions of routers that sweep a share or a threshold instead of a price.
    """

    lambdas: tuple[float, ...] = (1.0, 5.0, 10.0, 20.0)
    lambda_late: float = 1.0
    dacr_lambda_late: float = 1.0
    budget_cost: float | None = None
    budget_late: float | None = None
    mu_lr: float = 0.05
    cal_lr: float = 0.05
    floor: float = 0.0
    thresholds: tuple[float, ...] = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class Choice:
    """What a router decided for ``n`` requests.

    Attributes
    ----------
    model : (n,) int
    propensity : (n,) float in (0, 1]
        Probability of this choice given what the router knew.
    beliefs : Estimates
        What it believed when it chose.
    """

    model: Ints
    propensity: Floats
    beliefs: Estimates


@dataclass(frozen=True)
class Terms:
    """What the arena asks of a decision under a budget.

    Attributes
    ----------
    price_cost, price_late : (n, 1) float
        Shadow prices, in quality per USD and per late answer.
    pace_cost : (n,) float, optional
        What may be spent per request from here on, in the dollars that beliefs predict.
    is_open : callable
        Beliefs -> (n, n_model) bool, the models that may be called, or None for all.
    reprice_cost : callable
        Is told values before the price of money, and beliefs; may return a newer price of a dollar for them.
    p_late : (n, n_model) float, optional
        P(late) as the arena has learnt it; by default the router's own belief is priced.
    reprice_late : callable
        Is told values before the arena's prices, and beliefs; may return a newer price of a late answer.
    """

    price_cost: Floats
    price_late: Floats
    is_open: Callable[[Estimates], Bools | None] = lambda _: None
    reprice_cost: Callable[[Floats, Estimates], Floats | None] = lambda *_: None
    p_late: Floats | None = None
    reprice_late: Callable[[Floats, Estimates], Floats | None] = lambda *_: None
    pace_cost: Floats | None = None

    def after_lateness(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return scores less the price of lateness."""
        newer = self.reprice_late(scores, beliefs)
        price_late = self.price_late if newer is None else newer
        timely: Floats = scores - price_late * (beliefs.p_late if self.p_late is None else self.p_late)
        return timely

    def apply(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return scores less the shadow prices, -infinity for models that are not open."""
        timely = self.after_lateness(scores, beliefs)
        newer = self.reprice_cost(timely, beliefs)
        price_cost = self.price_cost if newer is None else newer
        paid: Floats = timely - price_cost * beliefs.cost_hat
        return self._closed(paid, beliefs)

    def guard(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return what :meth:`apply` does without the price of money: for routers that pace themselves."""
        return self._closed(self.after_lateness(scores, beliefs), beliefs)

    def _closed(self, scores: Floats, beliefs: Estimates) -> Floats:
        allowed = self.is_open(beliefs)
        return scores if allowed is None else np.where(allowed, scores, -np.inf)


class Router:
    """Base of all routers.

    Class attributes
    ----------------
    predictor, calibrator : str or None
        Registered names of the parts whose estimates this router reads; None takes the experiment's.
    clairvoyant : bool
        It is given the truth as its estimates: a reference, marked in every table and figure.
    learns : bool
        It takes feedback. The arena then plays ``n_run`` independent runs at once: ``scores`` gets
        one request per run, and state has a leading run axis.
    several_attempts : bool
        It may reject an answer and call another model; ``propose`` and ``accept`` then say how.
    paced : bool
        ``--dacr_budget_cost`` and ``--dacr_budget_viol`` are for it: the arena keeps them along its frontier.
    paces_itself : bool
        It has an argument ``budget_cost`` and keeps it by a price of its own, as its paper says: under an enforced
        budget it is told the budget, and the arena's ledger guards without pricing.
    whole_stream : bool
        A request's scores depend on the other requests: a reference that is handed them all at once.
    full_information : bool
        A twin that is told every model's outcome after each decision: the limit of what can be learnt.
    stackable : tuple of str
        Constructor arguments that may differ between runs played at once; :func:`stack` turns each
        into an array of shape (n_run, 1), so that a formula reads the same for one run and for many.
    tunable : mapping
        Constructor arguments that may be chosen on training domains, with the values to try.
    """

    name: ClassVar[str] = ""
    predictor: ClassVar[str | None] = None
    calibrator: ClassVar[str | None] = None
    clairvoyant: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    several_attempts: ClassVar[bool] = False
    paced: ClassVar[bool] = False
    whole_stream: ClassVar[bool] = False
    paces_itself: ClassVar[bool] = False
    full_information: bool = False
    stackable: ClassVar[tuple[str, ...]] = ()
    tunable: ClassVar[Mapping[str, Sequence[float]]] = {}

    seed: int | Keys = 0

    horizon: int | None = None
    """Requests that will come, as far as the arena knows; set before ``start``."""

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments by name; they become columns of every result."""
        kinds = inspect.signature(type(self)).parameters.values()
        return {kind.name: getattr(self, kind.name) for kind in kinds if kind.kind is kind.KEYWORD_ONLY}

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return the constructor arguments of each point of this router's frontier."""
        accepted = inspect.signature(cls.__init__).parameters
        fixed = {"lambda_late": sweep.lambda_late} if "lambda_late" in accepted else {}
        if "lambda_cost" not in accepted:
            return [fixed]
        return [{"lambda_cost": value, **fixed} for value in sweep.lambdas]

    @classmethod
    def budget_setting(cls, sweep: Sweep) -> dict[str, Any] | None:
        """Return the arguments with which a router plays under an enforced budget; None where it can't.

        The default is the point of the frontier that does not look at money: lambda_cost = 0, or else the
        last one; the arena's price of money then does what lambda does elsewhere.
        """
        if cls.several_attempts:
            return None
        point = cls.settings(sweep)[-1]
        return {**point, "lambda_cost": 0.0} if "lambda_cost" in point else point

    def foresee(self, requests: Estimates) -> None:
        """Take all requests of the test part before the first (clairvoyant references; others never get them)."""

    def fit(self, train: Training) -> Router:
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
        return Choice(model, propensity, beliefs)

    def own_price(self) -> Floats | None:
        """Return the price of a dollar that a router has set itself, (n_run,) in quality per USD; else None."""
        return None

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the model to call next for each request, or ``SHED``; the default calls the best once."""
        if tried:
            return np.full(len(requests), SHED)
        return self.decide(requests).model

    def accept(self, requests: Estimates, attempt: Attempts) -> Bools:
        """Say for each request whether this answer is good enough; the default takes any."""
        return np.ones(len(requests), dtype=bool)

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Prepare ``n_run`` parallel runs (learners): forget all feedback. ``seeds`` : (n_run,) uint64."""

    def observe(self, feedback: Feedback) -> None:
        """Take feedback that is due (learners)."""

    def checked_scores(self, requests: Estimates) -> Floats:
        """Call :meth:`scores` and refuse a wrong shape or a value that is not finite."""
        scores = np.asarray(self.scores(requests), dtype=float)
        expected = (len(requests), len(requests.models))
        if scores.shape != expected:
            raise ValueError(f"{type(self).__name__}.scores returned shape {scores.shape}, expected {expected}")
        if not np.isfinite(scores).all():
            raise ValueError(f"{type(self).__name__}.scores returned values that are not finite")
        return scores


def argmax_fair(scores: Floats, keys: Keys, seed: int | Keys) -> tuple[Ints, Floats]:
    """Return the row-wise argmax and 1 / number of ties; a tie goes to a draw keyed by the request."""
    model, ties = _best_and_ties(scores)
    tied = np.flatnonzero(ties > 1)
    if len(tied):
        best = scores[tied] == scores[tied, model[tied]][:, None]
        own = seed if np.ndim(seed) == 0 else np.asarray(seed)[tied]
        draw = keyed_uniform(keys[tied], scores.shape[1], own)
        model[tied] = np.where(best, draw, -1.0).argmax(axis=1)
    return model, 1.0 / ties


def _best_and_ties(scores: Floats) -> tuple[Ints, Ints]:
    """Return the first best column of each row, and how many columns are as good."""
    n_model = scores.shape[1]
    if n_model > 255:
        model: Ints = scores.argmax(axis=1)
        return model, (scores == np.take_along_axis(scores, model[:, None], axis=1)).sum(axis=1)
    # A reduction over a dozen columns is several times faster along the first axis.
    columns = np.ascontiguousarray(scores.T)
    best = columns == columns.max(axis=0)
    rank = np.arange(n_model, 0, -1, dtype=np.uint8)[:, None]
    return n_model - (best * rank).max(axis=0).astype(np.int64), best.sum(axis=0, dtype=np.uint8)


def stack(routers: Sequence[Router]) -> Router:
    """Merge fitted routers of one class that differ in ``stackable`` arguments into one of many runs."""
    merged = copy.copy(routers[0])
    for name in merged.stackable:
        setattr(merged, name, np.array([float(getattr(router, name)) for router in routers])[:, None])
    return merged


def with_setting(fitted: Router, setting: dict[str, Any]) -> Router:
    """Return a fitted router with other ``stackable`` arguments; what it learnt in ``fit`` is shared."""
    fixed = set(setting) - set(fitted.stackable)
    changed = [name for name in fixed if setting[name] != getattr(fitted, name)]
    if changed:
        raise ValueError(f"{type(fitted).__name__} must be fitted again for another {changed}: not in `stackable`")
    other = copy.copy(fitted)
    for name, value in setting.items():
        setattr(other, name, value)
    return other
