"""The best plan for each price, chosen on training domains: what agreement is worth without feedback."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform, seed_for
from dacr.data.schema import family_of
from dacr.routers.base import Cascade
from dacr.routers.plans.worth import luck_of_plans
from dacr.routers.predict_optimize import PredictOptimizeRouter
from dacr.types import SHED, Attempts, Bools, Estimates, Floats, Ints, Training

_RANDOM = np.uint64(seed_for("random escalation") % 2**63)


@routers.register("consensus")
class ConsensusRouter(PredictOptimizeRouter):
    """argmax q_a - lambda_cost c_a(x) - lambda_late v_a(x), with each arm's quality as training domains tell it.

    An arm's quality is its training mean. That of a plan is shrunk towards the hull of single models, the more the
    fewer families of domains it was seen on (:func:`dacr.routers.plans.worth.luck_of_plans`).
    """

    predictor: ClassVar[str | None] = "base_rate"
    calibrator: ClassVar[str | None] = "identity"
    needs_plans: ClassVar[bool] = True

    def fit(self, train: Training) -> Self:
        """Take means over training, and shrink those of plans."""
        outcomes = train.outcomes
        self.quality_: Floats = outcomes.quality.mean(axis=0)
        if outcomes.paths is not None:
            names = [family_of(train.requests.domains[code]) for code in np.unique(train.requests.domain) if code >= 0]
            n_plan = len(outcomes.paths.member)
            self.quality_[-n_plan:] -= luck_of_plans(outcomes, len(set(names)))
        return self

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return the arms' qualities in training in place of predictions."""
        return requests.with_(p=np.tile(self.quality_, (len(requests), 1)))

    def scores(self, requests: Estimates) -> Floats:
        """Return value in units of quality."""
        return super().scores(self.beliefs(requests))


@routers.register("consensus_random")
class ConsensusRandomRouter(Cascade, ConsensusRouter):
    """The control of ``consensus``: one probe alone is paid, and as large a share goes on to the fallback at random.

    Shares are those of training. What ``consensus`` is better by is what agreement tells, and what it costs.
    """

    takes_plans = True

    def fit(self, train: Training) -> Self:
        """Also learn whom each plan asks, and how often it goes on."""
        super().fit(train)
        paths = train.outcomes.paths
        n_plan = 0 if paths is None else len(paths.member)
        self.n_model_ = len(self.quality_) - n_plan
        own = np.arange(self.n_model_)
        probe, last, settled = own, own, np.ones(self.n_model_)
        if paths is not None:
            single = train.outcomes.quality.mean(axis=0)
            first = (paths.round == 1).all(axis=0)
            best = np.where(first, single[paths.member], -np.inf).argmax(axis=1)
            probe = np.append(own, paths.member[np.arange(n_plan), best])
            last = np.append(own, [one[one >= 0][-1] for one in paths.member])
            settled = np.append(settled, paths.settled.mean(axis=0))
        self.probe_, self.last_, self.settled_ = probe, last, settled
        return self

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Call the probe of the best arm, then its fallback."""
        if len(tried) > 1:
            return np.full(len(requests), SHED, dtype=np.int64)
        arm = self.decide(requests).model
        return (self.last_ if tried else self.probe_)[arm]

    def accept(self, requests: Estimates, attempt: Attempts) -> Bools:
        """Keep a share of the probes' answers, by a draw that belongs to the request; and the fallback's always."""
        arm = self.decide(requests).model
        draw = keyed_uniform(requests.key, 1, np.asarray(self.seed, dtype=np.uint64) ^ _RANDOM)[:, 0]
        return (draw < self.settled_[arm]) | (attempt.model == self.last_[arm])
