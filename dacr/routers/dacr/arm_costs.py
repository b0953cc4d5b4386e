"""What arms cost: models by their bills, plans by those of their models and by how often they go on."""

from __future__ import annotations

import numpy as np

from dacr.routers.dacr.agreement import Agreement
from dacr.routers.dacr.spending import CostShift
from dacr.types import Estimates, Feedback, Floats, Ints, Outcomes


class ArmCosts:
    """Learnt costs of all arms; without plans those of :class:`CostShift` alone."""

    def __init__(self, models: CostShift, agreement: Agreement | None) -> None:
        self._models, self._agreement = models, agreement

    def correct(self, run: Ints, requests: Estimates) -> dict[str, Floats]:
        """Return mean and upper costs of every arm after what bills, and agreement, have taught."""
        if self._agreement is None:
            return self._models.correct(run, requests)
        n = self._agreement.n_model
        models = requests.with_(cost_hat=requests.cost_hat[:, :n], cost_upper=requests.cost_upper[:, :n])
        return self._agreement.with_costs(run, requests.domain, **self._models.correct(run, models))

    def observe(self, feedback: Feedback, ended: Ints) -> None:
        """Learn from bills; a plan's is shared out among the models that it asked, as their costs were predicted."""
        run, arm, cost = feedback.run[ended], feedback.model[ended], feedback.cost_usd[ended]
        code, predicted = feedback.requests.domain[ended], feedback.requests.cost_hat[ended]
        if self._agreement is None or feedback.agreed is None:
            self._models.update(run, code, arm, predicted[np.arange(len(ended)), arm], cost)
            return
        agreed = feedback.agreed[ended]
        asked = self._agreement.asked(arm, agreed)
        own = asked * predicted[:, : asked.shape[1]]
        at, m = np.nonzero(asked)
        bill = cost[at] * own[at, m] / np.maximum(own.sum(axis=1)[at], 1e-300)
        self._models.update(run[at], code[at], m, own[at, m], bill)
        self._agreement.update(run, code, arm, agreed)

    def observe_all(self, run: Ints, requests: Estimates, truth: Outcomes) -> None:
        """Learn from the calls of every model at once (full information)."""
        code = requests.domain
        n = requests.cost_hat.shape[1]
        if self._agreement is not None and truth.paths is not None:
            n = self._agreement.n_model
            self._agreement.update_all(run, code, truth.paths.settled.astype(np.float64))
        self._models.update_all(run, code, requests.cost_hat[:, :n], truth.cost_usd[:, :n])
