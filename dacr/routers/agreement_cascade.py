"""Agreement-based cascading (ABC, arXiv 2407.02348): tiers of models that vote, with thresholds from labelled rows."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform, seed_for
from dacr.routers.base import Cascade, Reference, Sweep
from dacr.routers.fixed import constant
from dacr.routers.heard import answers_of, first_alike, heard
from dacr.types import SHED, Attempts, Bools, Estimates, Floats, Ints, Outcomes, Training

EPSILONS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 1.0)
N_LABELLED, MOST = 100, 3
"""Labelled rows that thresholds are estimated on, as in the paper; and models in a tier."""

_LABELLED = seed_for("labelled rows") % 2**63


@routers.register("agreement_cascade")
class AgreementCascadeRouter(Cascade, Reference):
    r"""Tiers of up to three models of like price vote; the commonest answer is kept where its share is high enough.

    A tier holds the best models of one decade of cost below that of the model best in training, which is the last
    tier. Of a tier's answers v is the share that the commonest has. It is kept where v >= theta, with the tier's

    .. math:: \theta(\epsilon) = \min \{t : \hat P(v \ge t, \text{wrong}) \le \epsilon\},

    estimated on 100 labelled requests of the very domain, drawn from the test part: so it is marked as one that knows
    some of the truth. A tier that no vote could settle is not asked. Without labelled requests those of training serve.
    Kolawole, Dennis, Talwalkar and Smith 2024, arXiv 2407.02348. Calls are made one after the other.

    Parameters
    ----------
    epsilon : float
        Share of requests that a tier may keep with a wrong answer.
    """

    stackable = ("epsilon",)
    draws = False
    budget = "none"  # thresholds are the domain's own, and training says nothing of what they cost
    needs_plans: ClassVar[bool] = True

    def __init__(self, *, epsilon: float = 0.05) -> None:
        self.epsilon = epsilon

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return errors that are tolerated, from none to any."""
        return [{"epsilon": value} for value in EPSILONS]

    def fit(self, train: Training) -> Self:
        """Sort models into tiers, each with its best first."""
        outcomes = train.outcomes
        self.quality_: Floats = outcomes.quality.mean(axis=0)
        cost = outcomes.cost_usd.mean(axis=0)
        self.last_ = int(self.quality_.argmax())
        decade = np.floor(np.log10(np.maximum(cost, 1e-12) / max(cost[self.last_], 1e-12)))
        best = np.argsort(-self.quality_, kind="stable")
        tiers = [[int(m) for m in best if decade[m] == one][:MOST] for one in np.unique(decade[decade < 0])]
        self.tiers_ = [tier for tier in tiers if len(tier) > 1]
        self._label(outcomes)
        return self

    def foresee(self, requests: Estimates, truth: Outcomes) -> None:
        """Have some requests of the test part labelled."""
        draw = keyed_uniform(requests.key, 1, _LABELLED)[:, 0]
        self._label(truth.take(np.argsort(draw, kind="stable")[:N_LABELLED]))

    def _label(self, labelled: Outcomes) -> None:
        answer, self._voted, rows = answers_of(labelled), [], np.arange(len(labelled))
        for tier in self.tiers_:
            share, place = vote(answer[:, tier])
            there = slice(None) if labelled.recorded is None else labelled.recorded[:, tier].all(axis=1)
            self._voted.append((share[there], 1.0 - labelled.quality[rows, np.array(tier)[place]][there]))

    def thresholds(self) -> list[float]:
        """Return theta of each tier; above 1 where no vote is good enough."""
        found = []
        for tier, (share, wrong) in zip(self.tiers_, self._voted, strict=True):
            steps = [k / len(tier) for k in range(1, len(tier) + 1)]
            safe = (t for t in steps if (wrong * (share >= t - 1e-9)).mean() <= self.epsilon + 1e-12)
            found.append(next(safe, np.inf))
        return found

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean training quality (used where only one call is possible)."""
        return constant(requests, self.quality_)

    def _asked(self) -> list[tuple[list[int], float]]:
        used = [(tier, theta) for tier, theta in zip(self.tiers_, self.thresholds(), strict=True) if theta <= 1]
        return [*used, ([self.last_], 0.0)]

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Call the models of one tier after the other."""
        order = [m for tier, _ in self._asked() for m in tier]
        return np.full(len(requests), order[len(tried)] if len(tried) < len(order) else SHED)

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Let a tier vote when all of it was asked; the last model's answer is always kept."""
        end = 0
        for tier, theta in self._asked():
            end += len(tier)
            if end == len(tried):
                share, place = vote(heard(tried[-len(tier) :]))
                settled: Bools = share >= theta - 1e-9
                return np.where(settled, end - len(tier) + place, -1)
        return np.full(len(requests), -1)


def vote(answer: Ints) -> tuple[Floats, Ints]:
    """Return the share that the commonest answer has, and the place of the first that gives it; all (n,).

    Examples
    --------
    >>> share, place = vote(np.array([[4, 5, 5], [4, 5, 6]]))
    >>> share.round(2).tolist(), place.tolist()
    ([0.67, 0.33], [1, 0])
    """
    count = np.equal.outer(np.arange(answer.shape[1]), first_alike(answer)).sum(axis=2)
    return count.max(axis=0) / answer.shape[1], count.argmax(axis=0)
