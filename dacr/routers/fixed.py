"""Routers that do not look at the question: the references that a router must beat."""

from typing import Any, Self

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform, seed_for
from dacr.metrics.hull import upper_hull
from dacr.routers.base import Router, Sweep
from dacr.routers.terms import Choice, Terms, argmax_fair
from dacr.types import Estimates, Floats, Ints, Training

_RANDOM, _ZERO = np.uint64(seed_for("random router")), np.uint64(seed_for("zero router"))
"""Keep these routers' draws apart from those that break ties."""


def constant(requests: Estimates, values: Floats) -> Floats:
    """Give every request the same scores: ``values`` (n_model,), or (n, n_model) for runs played abreast."""
    return np.array(np.broadcast_to(values, (len(requests), len(requests.models))), order="C")


@routers.register("random")
class RandomRouter(Router):
    """A uniform draw, keyed by request and seed: every model with propensity 1 / n_model."""

    takes_plans = False

    def scores(self, requests: Estimates) -> Floats:
        """Return uniform draws."""
        return keyed_uniform(requests.key, len(requests.models), np.asarray(self.seed, dtype=np.uint64) ^ _RANDOM)

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Choose as the base does; the propensity is that of the draw among open models (prices of a budget aside)."""
        scores = self.checked_scores(requests)
        if terms is not None:
            scores = terms.apply(scores, requests)
        model, _ = argmax_fair(scores, requests.key, self.seed)
        return Choice(model, 1.0 / np.isfinite(scores).sum(axis=1), requests)


@routers.register("cheapest")
class CheapestRouter(Router):
    """The model with the lowest mean cost in training."""

    takes_plans = False

    def fit(self, train: Training) -> Self:
        """Rank models by mean training cost."""
        self.scores_: Floats = -train.outcomes.cost_usd.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return minus the mean training cost in USD."""
        return constant(requests, self.scores_)


@routers.register("strongest")
class StrongestRouter(Router):
    """The model with the highest mean quality in training."""

    takes_plans = False

    def fit(self, train: Training) -> Self:
        """Rank models by mean training quality."""
        self.scores_: Floats = train.outcomes.quality.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean training quality."""
        return constant(requests, self.scores_)


@routers.register("best_single")
class BestSingleRouter(Router):
    """The one model that was best in training at these prices: argmax mean(q) - lambda_c c - lambda_l late."""

    takes_plans = False

    stackable = ("lambda_cost", "lambda_late")

    def __init__(self, *, lambda_cost: float = 0.0, lambda_late: float = 0.0) -> None:
        self.lambda_cost = lambda_cost
        self.lambda_late = lambda_late

    def fit(self, train: Training) -> Self:
        """Store mean quality, cost and lateness of each model."""
        self.quality_: Floats = train.outcomes.quality.mean(axis=0)
        self.cost_: Floats = train.outcomes.cost_usd.mean(axis=0)
        self.late_: Floats = train.outcomes.late.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return each model's mean training value."""
        return constant(requests, self.quality_ - self.lambda_cost * self.cost_ - self.lambda_late * self.late_)


@routers.register("zero")
class ZeroRouter(Router):
    """RouterBench's zero router (arXiv 2403.12031): a random mixture of two models, blind to the question.

    The mixture lies on the upper hull of (mean cost, mean quality) of single models in training, at the
    share ``position`` of the way from the cheapest model's cost to that of the best. Under a budget the
    position is where a request costs what may be spent on it, as training costs and the bills so far tell.

    Parameters
    ----------
    position : float in [0, 1]
    budget_cost : float or None, USD per request
    """

    takes_plans = False
    budget = "own"
    stackable = ("position", "budget_cost")

    def __init__(self, *, position: float = 0.5, budget_cost: float | None = None) -> None:
        self.position = position
        self.budget_cost = np.inf if budget_cost is None else budget_cost

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return eleven positions along the hull."""
        return [{"position": value} for value in sweep.thresholds]

    def fit(self, train: Training) -> Self:
        """Find the hull's vertices, as model indices in order of cost."""
        self.cost_: Floats = train.outcomes.cost_usd.mean(axis=0)
        self.quality_: Floats = train.outcomes.quality.mean(axis=0)
        self.hull_ = hull_models(self.cost_, self.quality_)
        return self

    def _mixture(self, pace: Floats | None = None) -> tuple[Ints, Ints, Floats]:
        """Return the models at the left and at the right, and the share of the right one: one for each run.

        ``pace`` is what a request may cost, (n_run,), where a budget is enforced.
        """
        cost = self.cost_[self.hull_]
        goal = cost[0] + np.asarray(self.position, dtype=float).reshape(-1) * (cost[-1] - cost[0])
        if pace is not None:
            budget = np.asarray(self.budget_cost, dtype=float).reshape(-1)
            goal = np.where(np.isfinite(budget), np.clip(pace, cost[0], cost[-1]), goal)
        right = np.clip(np.searchsorted(cost, goal), min(1, len(cost) - 1), len(cost) - 1)
        left = np.maximum(right - 1, 0)
        gap = cost[right] - cost[left]
        share = np.divide(goal - cost[left], gap, out=np.zeros_like(goal), where=gap > 0)
        return self.hull_[left], self.hull_[right], share

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return training means in place of estimates: it does not look at the question."""
        cost = constant(requests, self.cost_)
        ratio = requests.cost_upper / np.maximum(requests.cost_hat, 1e-12)
        return requests.with_(p=constant(requests, self.quality_), cost_hat=cost, cost_upper=cost * ratio)

    def scores(self, requests: Estimates) -> Floats:
        """Return 1 for the model that the request's draw picks, 0 for the others."""
        return self._picked(requests, *self._mixture())

    def _picked(self, requests: Estimates, left: Ints, right: Ints, share: Floats) -> Floats:
        draw = keyed_uniform(requests.key, 1, np.asarray(self.seed, dtype=np.uint64) ^ _ZERO)[:, 0]
        scores = np.zeros((len(requests), len(requests.models)))
        rows = np.arange(len(requests))
        # Where the drawn model is closed: the cheaper one of the two, else the cheapest of all.
        scores[:, self.hull_[0]] = 0.25
        scores[rows, left] = 0.5
        scores[rows, np.where(draw < share, right, left)] = 1.0
        return scores

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Choose the model that was drawn, with the propensity of the mixture (of the raw one under a budget)."""
        beliefs = self.beliefs(requests)
        left, right, share = self._mixture(None if terms is None else terms.pace_cost())
        scores = self._picked(requests, left, right, share)
        if terms is not None:
            scores = terms.guard(scores, beliefs)
        model, _ = argmax_fair(scores, requests.key, self.seed)
        chance = (model == right) * share + (model == left) * (1 - share)
        # A model that only stands in for closed ones was certain to.
        return Choice(model, np.where(chance > 0, chance, 1.0), beliefs)

    def own_price(self) -> Floats | None:
        """Return 0: it has a share and no price."""
        budget = np.asarray(self.budget_cost, dtype=float).reshape(-1)
        return np.zeros(len(budget)) if np.isfinite(budget).any() else None


def hull_models(cost: Floats, quality: Floats) -> Any:
    """Return the models on the non-decreasing upper hull, by rising cost: (k,) int.

    Starts at the cheapest model and ends at the best one.
    """
    vertices = zip(*upper_hull(cost, quality), strict=True)
    return np.array([np.flatnonzero((cost == x) & (quality == y))[0] for x, y in vertices])
