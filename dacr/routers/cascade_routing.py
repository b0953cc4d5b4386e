"""Cascade routing (arXiv 2410.10347): after every call, ask for the set of models worth most, as agreement tells."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from dacr.core.registry import routers
from dacr.estimates.answers.read import UNREAD
from dacr.routers.base import Cascade
from dacr.routers.fixed import constant
from dacr.routers.heard import answers_of, first_alike, heard
from dacr.routers.plans.choose import near_hull, prices_of
from dacr.types import SHED, Attempts, Bools, Estimates, Floats, Ints, Training

MOST = 5
"""Models that are considered: 32 sets."""

PRIOR = 10.0
"""Training rows' worth of evidence that who agrees with whom says nothing."""


@routers.register("cascade_routing")
class CascadeRoutingRouter(Cascade):
    r"""Ask the cheapest missing model of argmax_T E[quality of T | answers so far] - lambda_cost (cost of T still due).

    T runs over the sets of models that hold all that were asked; where it is that very set, the best of its answers is
    kept. An answer's quality given who agrees with whom is a training mean over requests with the same pattern of
    agreement, shrunk towards the model's mean; a larger set's is the mean over those requests of its best answer's.
    Dekoninck, Baader and Vechev 2024, arXiv 2410.10347, with agreement as the estimator of quality, and patterns in
    place of their Gaussian errors. It chooses among the five models nearest the hull. Calls are made one by one.

    Parameters
    ----------
    lambda_cost : float
        Price of a dollar, in quality.
    """

    draws = False
    stackable = ("lambda_cost",)
    needs_plans: ClassVar[bool] = True

    def __init__(self, *, lambda_cost: float = 0.0) -> None:
        self.lambda_cost = lambda_cost

    def fit(self, train: Training) -> Self:
        """Count patterns of agreement of every set of models in training."""
        outcomes = train.outcomes
        cost, quality = outcomes.cost_usd.mean(axis=0), outcomes.quality.mean(axis=0)
        self.quality_: Floats = quality
        self.models_: Ints = near_hull(cost, quality, prices_of(cost), MOST)
        own, answer = outcomes.quality[:, self.models_], answers_of(outcomes)[:, self.models_]
        k = len(self.models_)
        self.member_: Bools = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(bool)
        coded = [np.unique(pattern(answer, np.tile(some, (len(own), 1))), return_inverse=True) for some in self.member_]
        best: list[Ints] = []
        reached = np.zeros((len(own), 2**k))
        for number, (some, (_, code)) in enumerate(zip(self.member_, coded, strict=True)):
            if not some.any():
                best.append(np.zeros(2, dtype=np.int64))
                continue
            judged = np.where(some, _means(own, code), -np.inf)
            best.append(judged.argmax(axis=1))
            reached[:, number] = judged.max(axis=1)[code]
        self.best_ = best
        self.code_ = [codes for codes, _ in coded]
        self.value_: list[Floats] = [_means(reached, code) for _, code in coded]
        return self

    def _state(self, requests: Estimates, tried: Sequence[Attempts]) -> tuple[Ints, Ints, Floats]:
        """Return the number of the set that was asked, the best of its answers, and what every set is worth."""
        n, k = len(requests), len(self.models_)
        asked, answer = np.zeros((n, k), dtype=bool), np.full((n, k), UNREAD)
        for one, said in zip(tried, heard(tried).T if tried else (), strict=True):
            own: Bools = np.equal.outer(one.model, self.models_)
            asked |= own
            answer = np.where(own, said[:, None], answer)
        number, code = asked @ (1 << np.arange(k)), pattern(answer, asked)
        cost = requests.cost_hat[:, self.models_]
        due = np.where(asked, 0.0, cost) @ self.member_.T
        worth: Floats = -self.lambda_cost * due
        best = np.zeros(n, dtype=np.int64)
        for one in np.unique(number):
            rows = np.flatnonzero(number == one)
            known = self.code_[one]
            at = np.minimum(np.searchsorted(known, code[rows]), len(known) - 1)
            at = np.where(known[at] == code[rows], at, len(known))  # the last row is for patterns never seen
            worth[rows] += self.value_[one][at]
            best[rows] = self.best_[one][at]
        # A set that holds all that were asked, by the bits of its number.
        holds = (number[:, None] & ~np.arange(2**k)) == 0
        holds[:, 0] = False
        return number, best, np.where(holds, worth, -np.inf)

    def scores(self, requests: Estimates) -> Floats:
        """Return each model's value in training (used where only one call is possible)."""
        return constant(requests, self.quality_) - self.lambda_cost * requests.cost_hat

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Call the cheapest missing model of the set that is worth most beyond what was asked."""
        number, _, worth = self._state(requests, tried)
        rows = np.arange(len(requests))
        worth[rows, number] = -np.inf
        missing = self.member_[worth.argmax(axis=1)] & ~self.member_[number]
        cost = np.where(missing, requests.cost_hat[:, self.models_], np.inf)
        return np.where(missing.any(axis=1) & np.isfinite(worth.max(axis=1)), self.models_[cost.argmin(axis=1)], SHED)

    def may_call(self, n_model: int) -> Ints:
        """Return the models that are considered."""
        return self.models_

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Keep the best answer where no larger set is worth its money."""
        number, best, worth = self._state(requests, tried)
        rows = np.arange(len(requests))
        done = worth[rows, number] >= worth.max(axis=1) - 1e-12
        called = np.stack([one.model for one in tried], axis=1)
        return np.where(done, (called == self.models_[best][:, None]).argmax(axis=1), -1)


def pattern(answer: Ints, asked: Bools) -> Ints:
    """Return a code of who was asked and who says the same, (n,), of answers and of who was asked, (n, k)."""
    k = answer.shape[1]
    alike = np.where(asked, first_alike(np.where(asked, answer, UNREAD)), k)
    code: Ints = alike @ (k + 1) ** np.arange(k)
    return code


def _means(values: Floats, code: Ints) -> Floats:
    """Return means by code, shrunk towards the overall mean, which is the last row: (n_code + 1, n_column)."""
    mean, size = values.mean(axis=0), np.bincount(code)
    total = np.stack([np.bincount(code, one) for one in values.T], axis=1)
    shrunk: Floats = (total + PRIOR * mean) / (size[:, None] + PRIOR)
    return np.vstack([shrunk, mean])
