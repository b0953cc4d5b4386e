"""DACR with the literal update rules of its original Eq. 9, for comparison."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Learner
from dacr.types import Estimates, Feedback, Floats, Keys, Training


@routers.register("dacr_eq9")
@dataclass(kw_only=True, eq=False, repr=False)
class DacrEq9Router(Learner):
    """argmax_m clip(p_m + bias_{m,d}) - (lambda_cost + mu_c / B) c^_m - (lambda_late + mu_l / delta) v^_m.

    The bias is additive in probability and clipped to +-0.5; the duals take un-normalised steps:

        bias_{m,d} += cal_lr (y - p),   mu_c = [mu_c + mu_lr (c - B)]+,   mu_l = [mu_l + mu_lr (late - delta)]+.

    What the original got from the truth (costs and lateness at decision time) are estimates here, and
    its calibrators are fitted out-of-fold. A budget that is not given is off.
    """

    calibrator = "by_domain"
    stackable = ("lambda_cost", "lambda_late", "budget_cost", "budget_late")

    lambda_cost: float = 0.0
    lambda_late: float = 0.0
    budget_cost: float = np.inf
    budget_late: float = np.inf
    mu_lr: float = 0.05
    cal_lr: float = 0.05

    def fit(self, train: Training) -> Self:
        """Remember the shapes; the calibrators are the experiment's."""
        self.n_model_ = len(train.requests.models)
        return self

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all feedback."""
        self.seed = seeds
        self._bias = np.zeros((n_run, n_domain + 1, self.n_model_))
        self._mu_cost = np.zeros((n_run, 1))
        self._mu_late = np.zeros((n_run, 1))

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return the estimates with the biased probability: one request per run."""
        bias = self._bias[np.arange(len(requests)), requests.domain]
        return requests.with_(p=np.clip(requests.p + bias, 0.0, 1.0))

    def scores(self, requests: Estimates) -> Floats:
        """Return Eq. 9 on estimates."""
        price_cost = self.lambda_cost + self._mu_cost / self.budget_cost
        price_late = self.lambda_late + self._mu_late / self.budget_late
        return self.beliefs(requests).p - price_cost * requests.cost_hat - price_late * requests.p_late

    def observe(self, feedback: Feedback) -> None:
        """Step the biases by ratings, the duals by finished calls."""
        run, model, code = feedback.run, feedback.model, feedback.requests.domain
        rated = np.flatnonzero(np.isfinite(feedback.quality))
        if len(rated):
            where = (run[rated], code[rated], model[rated])
            p = np.clip(feedback.requests.p[rated, model[rated]] + self._bias[where], 0.0, 1.0)
            np.add.at(self._bias, where, self.cal_lr * (feedback.quality[rated] - p))
            np.clip(self._bias, -0.5, 0.5, out=self._bias)
        ended = np.flatnonzero(np.isfinite(feedback.cost_usd))
        if len(ended):
            self._step(self._mu_cost, run[ended], feedback.cost_usd[ended], self.budget_cost)
            self._step(self._mu_late, run[ended], feedback.late[ended], self.budget_late)

    def _step(self, dual: Floats, run: Any, spent: Floats, budget: Any) -> None:
        limit = np.broadcast_to(np.asarray(budget, dtype=float), dual.shape)[run, 0]
        step = np.where(np.isfinite(limit), self.mu_lr * (spent - np.where(np.isfinite(limit), limit, 0.0)), 0.0)
        np.add.at(dual[:, 0], run, step)
        np.maximum(dual, 0.0, out=dual)
