"""LinUCB with cost: one linear model of quality per arm, optimism where it knows little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from dacr.core.compiled import kernel
from dacr.core.registry import routers
from dacr.routers.base import Learner
from dacr.routers.dacr.spending import CostPrior, CostShift
from dacr.routers.ridge_arms import RidgeArms
from dacr.types import Estimates, Feedback, Floats, Keys, Training


@routers.register("linucb")
class LinUcbRouter(Learner):
    """argmax_m theta_m' x + alpha sqrt(x' A_m^-1 x) - lambda_cost c^_m - lambda_late v^_m.

    Disjoint linear models: A_m = ridge I + sum x x', b_m = sum y x, theta_m = A_m^-1 b_m over the rated
    calls of model m; y is quality. x is the projection of the features on their first ``n_dim`` principal
    axes in the training part, scaled to mean square length 1, and a constant 1. It gives no domain label.
    c^ is the predicted mean cost, corrected by the calls that have ended (:class:`CostShift`).

    Warm start: training rows, where every model's quality is known, enter A and b with the weight of
    ``n_prior`` rated calls in all. All of them at full weight would take as many ratings to overrule, and
    under shift they are wrong in part.

    Reference: Li, Chu, Langford and Schapire 2010, doi:10.1145/1772690.1772758 (algorithm 1).

    Parameters
    ----------
    lambda_cost : float, quality per USD
    lambda_late : float, quality per late answer
    alpha : float, quality
        Width of the confidence bound in standard errors of unit noise. Theory asks for more than 1, which
        explores far longer than a few thousand requests last; .03, with ``n_prior`` 200, was the best of the
        embedded benchmark's hold-outs.
    ridge : float
    n_dim : int
        Principal axes; fewer where the features have fewer.
    n_prior : float
        Weight of the whole training part, in rated calls of each model; 0 starts cold.
    """

    calibrator = "identity"
    stackable = ("lambda_cost", "lambda_late")
    tunable: ClassVar[Mapping[str, Sequence[float]]] = {"alpha": (0.01, 0.03, 0.1, 0.3), "n_prior": (10.0, 50.0, 200.0)}
    discount: float = 1.0

    def __init__(
        self,
        *,
        lambda_cost: float = 0.0,
        lambda_late: float = 0.0,
        alpha: float = 0.03,
        ridge: float = 1.0,
        n_dim: int = 12,
        n_prior: float = 200.0,
    ) -> None:
        self.lambda_cost = lambda_cost
        self.lambda_late = lambda_late
        self.alpha = alpha
        self.ridge = ridge
        self.n_dim = n_dim
        self.n_prior = n_prior

    def fit(self, train: Training) -> LinUcbRouter:
        """Find the principal axes, and the weighted normal equations of the training part."""
        features = np.asarray(train.requests.features, dtype=np.float64)
        self.centre_ = features.mean(axis=0)
        spread, axes = np.linalg.eigh((features - self.centre_).T @ (features - self.centre_) / len(features))
        keep = np.argsort(-spread)[: min(self.n_dim, len(spread))]
        keep = keep[spread[keep] > 1e-12]
        # The sign of an axis is arbitrary: its largest entry is made positive, whatever the linear algebra library.
        axes = axes[:, keep]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(keep))])
        self.axes_ = axes / np.sqrt(np.maximum(spread[keep].sum(), 1e-12))
        x = self.context(train.requests)
        self.cost_prior_ = CostPrior.of(train)
        weight = self.n_prior / len(x)
        n_model = len(train.requests.models)
        gram = self.ridge * np.eye(x.shape[1]) + weight * x.T @ x
        self.precision_ = np.tile(gram, (n_model, 1, 1))
        self.moment_: Floats = weight * train.outcomes.quality.T @ x
        for m in np.flatnonzero(train.cold) if train.cold is not None else ():
            # Believed to be like the others, on next to no evidence.
            theta = np.linalg.solve(self.precision_[m], self.moment_[m])
            self.precision_[m] = self.ridge * np.eye(x.shape[1])
            self.moment_[m] = self.precision_[m] @ theta
        return self

    def context(self, requests: Estimates) -> Floats:
        """Return x: the scaled projection and a constant 1, (n, d)."""
        x = np.zeros((len(requests), self.axes_.shape[1]))
        _project(requests.features, self.centre_, self.axes_, x)
        return np.concatenate([x, np.ones((len(x), 1))], axis=1)

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all feedback."""
        self.seed = seeds
        self._arms = RidgeArms(n_run, self.precision_, self.moment_, self.discount, self.ridge)
        self._cost = CostShift(n_run, self.cost_prior_)
        self._asked: tuple[Estimates, Estimates, Floats] | None = None

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return the linear estimate (without the bound) and learnt mean costs: one request per run."""
        return self._look(requests)[1]

    def scores(self, requests: Estimates) -> Floats:
        """Return the upper confidence bound of quality less the prices."""
        _, beliefs, bound = self._look(requests)
        return bound - self.lambda_cost * beliefs.cost_hat - self.lambda_late * beliefs.p_late

    def _look(self, requests: Estimates) -> tuple[Estimates, Estimates, Floats]:
        """Return requests, beliefs and the bound of quality; a decision that asks twice has it worked out once."""
        if self._asked is None or self._asked[0] is not requests:
            mean, sd = self._arms.mean_and_sd(self.context(requests))
            costs = self._cost.correct(np.arange(len(requests)), requests)
            self._asked = requests, requests.with_(p=np.clip(mean, 0.0, 1.0), **costs), mean + self.alpha * sd
        return self._asked

    def observe(self, feedback: Feedback) -> None:
        """Regress on ratings; learn costs from calls that have ended."""
        self._asked = None
        requests, run, model = feedback.requests, feedback.run, feedback.model
        rated = np.flatnonzero(np.isfinite(feedback.quality))
        if len(rated):
            x = self.context(requests.take(rated))
            self._arms.update(run[rated], model[rated], x, feedback.quality[rated], feedback.t[rated])
        ended = np.flatnonzero(np.isfinite(feedback.cost_usd))
        if len(ended):
            predicted = requests.cost_hat[ended, model[ended]]
            self._cost.update(run[ended], requests.domain[ended], model[ended], predicted, feedback.cost_usd[ended])


@kernel
def _project(features: Floats, centre: Floats, axes: Floats, out: Floats) -> None:
    # Row by row: a matrix product's last digits would depend on the size of the batch.
    for i in range(len(features)):
        for j in range(len(centre)):
            moved = features[i, j] - centre[j]
            for k in range(axes.shape[1]):
                out[i, k] += moved * axes[j, k]
