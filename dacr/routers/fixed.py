"""Routers that do not look at the question: the references that a router must beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from dacr.metrics.hull import upper_hull
from dacr.registry import routers
from dacr.rng import keyed_uniform, seed_for
from dacr.routers.base import Choice, Router, Sweep, Terms
from dacr.types import Estimates, Floats, Ints, Training

_RANDOM, _ZERO = np.uint64(seed_for("random router")), np.uint64(seed_for("zero router"))
"""Keep these routers' draws apart from those that break ties."""


def constant(requests: Estimates, values: Floats) -> Floats:
    """Give every request the same scores: ``values`` (n_model,), or (n, n_model) for runs played abreast."""
    return np.array(np.broadcast_to(values, (len(requests), len(requests.models))))


@routers.register("random")
class RandomRouter(Router):
    """A uniform draw, keyed by request and seed: every model with propensity 1 / n_model."""

    def scores(self, requests: Estimates) -> Floats:
        """Return uniform draws."""
        return keyed_uniform(requests.key, len(requests.models), np.asarray(self.seed, dtype=np.uint64) ^ _RANDOM)

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Choose as the base does; the propensity is that of the draw (of the raw one under a budget)."""
        choice = super().decide(requests, terms)
        return Choice(choice.model, np.full(len(requests), 1.0 / len(requests.models)), choice.beliefs)


@routers.register("cheapest")
class CheapestRouter(Router):
    """The model with the lowest mean cost in training."""

    def fit(self, train: Training) -> CheapestRouter:
        """Rank models by mean training cost."""
        self.scores_: Floats = -train.outcomes.cost_usd.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return minus the mean training cost in USD."""
        return constant(requests, self.scores_)


@routers.register("strongest")
class StrongestRouter(Router):
    """The model with the highest mean quality in training."""

    def fit(self, train: Training) -> StrongestRouter:
        """Rank models by mean training quality."""
        self.scores_: Floats = train.outcomes.quality.mean(axis=0)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean training quality."""
        return constant(requests, self.scores_)


@routers.register("best_single")
class BestSingleRouter(Router):
    """The one model that was best in training at these prices: argmax mean(q) - lambda_c c - lambda_l late."""

    stackable = ("lambda_cost", "lambda_late")

    def __init__(self, *, lambda_cost: float = 0.0, lambda_late: float = 0.0) -> None:
        self.lambda_cost = lambda_cost
        self.lambda_late = lambda_late

    def fit(self, train: Training) -> BestSingleRouter:
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
    share ``position`` of the way from the cheapest model's cost to that of the best.
    """

    stackable = ("position",)

    def __init__(self, *, position: float = 0.5) -> None:
        self.position = position

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return eleven positions along the hull."""
        return [{"position": value} for value in sweep.thresholds]

    @classmethod
    def budget_setting(cls, sweep: Sweep) -> dict[str, Any] | None:
        """None: a mixture is a budget already, and what it reaches at each is the hull of single models."""
        return None

    def fit(self, train: Training) -> ZeroRouter:
        """Find the hull's vertices, as model indices in order of cost."""
        self.cost_: Floats = train.outcomes.cost_usd.mean(axis=0)
        self.hull_ = hull_models(self.cost_, train.outcomes.quality.mean(axis=0))
        return self

    def _mixture(self) -> tuple[Ints, Ints, Floats]:
        """Return the models at the left and at the right, and the share of the right one: one for each run."""
        cost = self.cost_[self.hull_]
        goal = cost[0] + np.atleast_1d(np.asarray(self.position, dtype=float).squeeze()) * (cost[-1] - cost[0])
        right = np.clip(np.searchsorted(cost, goal), min(1, len(cost) - 1), len(cost) - 1)
        left = np.maximum(right - 1, 0)
        gap = cost[right] - cost[left]
        share = np.divide(goal - cost[left], gap, out=np.zeros_like(goal), where=gap > 0)
        return self.hull_[left], self.hull_[right], share

    def scores(self, requests: Estimates) -> Floats:
        """Return 1 for the model that the request's draw picks, 0 for the others."""
        left, right, share = self._mixture()
        draw = keyed_uniform(requests.key, 1, np.asarray(self.seed, dtype=np.uint64) ^ _ZERO)[:, 0]
        scores = np.zeros((len(requests), len(requests.models)))
        scores[np.arange(len(requests)), np.where(draw < share, right, left)] = 1.0
        return scores

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Choose as the base does; the propensity is that of the mixture."""
        choice = super().decide(requests, terms)
        left, right, share = self._mixture()
        chance = (choice.model == right) * share + (choice.model == left) * (1 - share)
        return Choice(choice.model, chance, choice.beliefs)


def hull_models(cost: Floats, quality: Floats) -> Any:
    """Return the models on the non-decreasing upper hull, by rising cost: (k,) int.

    Starts at the cheapest model and ends at the best one.
    """
    vertices = zip(*upper_hull(cost, quality), strict=True)
    return np.array([np.flatnonzero((cost == x) & (quality == y))[0] for x, y in vertices])
