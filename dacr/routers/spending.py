"""What calls really cost in a domain, learnt from the calls that were made."""

from __future__ import annotations

import numpy as np

from dacr.routers.posterior import add
from dacr.types import Floats, Ints


class CostShift:
    """A factor on the predicted cost for each (run, domain, model), from finished calls.

    A domain whose answers are longer is dearer for every model, so a shared factor F_d is learnt from
    all calls (the shrunken geometric mean of cost / predicted cost), and each model's own factor is its
    ratio of sums, shrunk towards F_d by ``pseudo`` calls:

        f_{m,d} = (sum c + pseudo * F_d * mean c^) / (sum c^ + pseudo * mean c^).

    A ratio of sums keeps the mean right, which exp of a mean log would not.
    """

    def __init__(self, n_run: int, n_domain: int, n_model: int, pseudo: float = 4.0) -> None:
        self.pseudo = pseudo
        self._logs = np.zeros((n_run, n_domain))
        self._calls = np.zeros((n_run, n_domain))
        self._paid = np.zeros((n_run, n_domain, n_model))
        self._expected = np.zeros((n_run, n_domain, n_model))
        self._count = np.zeros((n_run, n_domain, n_model))

    def factor(self, run: Ints, domain: Ints) -> Floats:
        """Return the factors of some (run, domain) pairs: (n, n_model)."""
        shared = np.exp(self._logs[run, domain] / (self._calls[run, domain] + self.pseudo))[:, None]
        count, expected = self._count[run, domain], self._expected[run, domain]
        unit = np.where(count > 0, expected / np.maximum(count, 1), 1.0)
        factor: Floats = (self._paid[run, domain] + self.pseudo * shared * unit) / (expected + self.pseudo * unit)
        return factor

    def update(self, run: Ints, domain: Ints, model: Ints, predicted: Floats, cost: Floats) -> None:
        """Take finished calls: all ``(n,)``, costs in USD. A free call says nothing of the ratio."""
        usable = np.isfinite(cost) & (cost > 0) & (predicted > 0)
        if not usable.all():
            run, domain, model = run[usable], domain[usable], model[usable]
            predicted, cost = predicted[usable], cost[usable]
        add(self._logs, (run, domain), np.clip(np.log(cost / predicted), -5.0, 5.0))
        add(self._calls, (run, domain), 1.0)
        add(self._paid, (run, domain, model), cost)
        add(self._expected, (run, domain, model), predicted)
        add(self._count, (run, domain, model), 1.0)

    def update_all(self, run: Ints, domain: Ints, predicted: Floats, cost: Floats) -> None:
        """Take the calls of every model at once (full information): costs are (n, n_model)."""
        n, n_model = cost.shape
        self.update(
            np.repeat(run, n_model),
            np.repeat(domain, n_model),
            np.tile(np.arange(n_model), n),
            predicted.ravel(),
            cost.ravel(),
        )
