"""LinUCB with cost: one linear model of quality per arm, optimism where it knows little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from dacr.core.compiled import kernel
from dacr.core.registry import routers
from dacr.routers.base import Learner
from dacr.routers.dacr.spending import CostPrior, CostShift, correct_costs, take_bill
from dacr.routers.ridge_arms import RidgeArms, learn_ratings, look
from dacr.types import Estimates, Feedback, Floats, Ints, Keys, Training


@routers.register("linucb")
@dataclass(kw_only=True, eq=False, repr=False)
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
    discount = 1.0

    lambda_cost: float = 0.0
    lambda_late: float = 0.0
    alpha: float = 0.03
    ridge: float = 1.0
    n_dim: int = 12
    n_prior: float = 200.0

    def fit(self, train: Training) -> Self:
        """Find the principal axes, and the weighted normal equations of the training part."""
        features = np.asarray(train.requests.features, dtype=np.float64)
        self.centre_ = features.mean(axis=0)
        centred, n, n_model = features - self.centre_, len(features), len(train.requests.models)
        scatter = centred.T @ centred
        spread, axes = np.linalg.eigh(scatter / n)
        keep = np.argsort(-spread)[: min(self.n_dim, len(spread))]
        keep = keep[spread[keep] > 1e-12]
        # The sign of an axis is arbitrary: its largest entry is made positive, whatever the linear algebra library.
        axes = axes[:, keep]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(keep))])
        self.axes_ = axes / np.sqrt(np.maximum(spread[keep].sum(), 1e-12))
        self.cost_prior_ = CostPrior.of(train.requests, train.outcomes.cost_usd)
        # Sums over rows of x x' and of x y, for x = (projection, 1); projections have mean 0.
        quality, d = train.outcomes.quality, len(keep) + 1
        gram = self.ridge * np.eye(d)
        gram[:-1, :-1] += self.n_prior / n * self.axes_.T @ scatter @ self.axes_
        gram[-1, -1] += self.n_prior
        self.precision_ = np.tile(gram, (n_model, 1, 1))
        moments = np.column_stack([quality.T @ centred @ self.axes_, quality.sum(axis=0)])
        self.moment_: Floats = self.n_prior / n * moments
        for m in np.flatnonzero(train.cold) if train.cold is not None else ():
            # Believed to be like the others, on next to no evidence.
            theta = np.linalg.solve(self.precision_[m], self.moment_[m])
            self.precision_[m] = self.ridge * np.eye(d)
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
        self._state = self._arms.state, self._cost.state
        prices = [np.asarray(value, dtype=np.float64).ravel() for value in (self.lambda_cost, self.lambda_late)]
        self._prices = np.stack([np.broadcast_to(value, n_run) for value in prices])
        self._asked: tuple[Estimates, Estimates, Floats] | None = None
        self._stream: tuple[Estimates, Floats] | None = None

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return the linear estimate (without the bound) and learnt mean costs: one request per run."""
        return self._look(requests)[0]

    def scores(self, requests: Estimates) -> Floats:
        """Return the upper confidence bound of quality less the prices."""
        return self._look(requests)[1]

    def _contexts(self, requests: Estimates) -> tuple[Estimates, Floats, Ints]:
        """Return the whole stream, its contexts, worked out once, and which rows are asked about."""
        whole, row = requests.place()
        if self._stream is None or self._stream[0] is not whole:
            self._stream = whole, self.context(whole)
            self._unrated = self._arms.unrated(self._stream[1])
        return whole, self._stream[1], row

    def _look(self, requests: Estimates) -> tuple[Estimates, Floats]:
        """Return beliefs and scores; a decision that asks twice has them worked out once."""
        if self._asked is None or self._asked[0] is not requests:
            whole, x, row = self._contexts(requests)
            out = np.empty((4, len(row), len(self.moment_)))
            known = whole.domain, whole.cost_hat, whole.cost_upper, whole.p_late
            _believe(row, x, self._unrated, known, self._prices, float(self.alpha), *self._state, out)
            beliefs = requests.with_(p=out[0], cost_hat=out[1], cost_upper=out[2])
            self._asked = requests, beliefs, out[3]
        return self._asked[1:]

    def observe(self, feedback: Feedback) -> None:
        """Regress on ratings; learn costs from calls that have ended."""
        self._asked = None
        whole, x, row = self._contexts(feedback.requests)
        news = feedback.run, feedback.model, row, feedback.t, feedback.quality, feedback.cost_usd
        _learn(*news, x, whole.domain, whole.cost_hat, *self._state)


@kernel
def _believe(
    row: Ints, x: Floats, unrated: Floats, known: Any, prices: Floats, alpha: float, arms: Any, costs: Any, out: Floats
) -> None:
    """Write p, mean and upper costs, and scores into ``out``, (4, n_run, n_model)."""
    domain, cost_hat, cost_upper, p_late = known
    p, mean_cost, scores = out[0], out[1], out[3]
    sd = np.empty(p.shape)
    look(row, x, unrated, arms, p, sd)
    correct_costs(np.arange(len(row)), row, domain, cost_hat, cost_upper, costs, mean_cost, out[2])
    for r in range(len(row)):
        for m in range(p.shape[1]):
            bound = p[r, m] + alpha * sd[r, m]
            scores[r, m] = bound - prices[0, r] * mean_cost[r, m] - prices[1, r] * p_late[row[r], m]
            p[r, m] = min(max(p[r, m], 0.0), 1.0)


@kernel
def _learn(
    run: Ints,
    model: Ints,
    row: Ints,
    t: Ints,
    quality: Floats,
    cost: Floats,
    x: Floats,
    domain: Ints,
    cost_hat: Floats,
    arms: Any,
    costs: Any,
) -> None:
    learn_ratings(run, model, row, x, quality, t, arms)
    for i in range(len(run)):
        if not np.isnan(cost[i]):
            take_bill(run[i], domain[row[i]], model[i], cost_hat[row[i], model[i]], cost[i], costs)


@kernel
def _project(features: Floats, centre: Floats, axes: Floats, out: Floats) -> None:
    # Row by row: a matrix product's last digits would depend on the size of the batch.
    for i in range(len(features)):
        for j in range(len(centre)):
            moved = features[i, j] - centre[j]
            for k in range(axes.shape[1]):
                out[i, k] += moved * axes[j, k]
