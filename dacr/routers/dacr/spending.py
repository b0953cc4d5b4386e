"""What calls really cost in a domain, learnt from the calls that were made."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dacr.core.compiled import formula, kernel
from dacr.routers.dacr.special import exp
from dacr.types import Estimates, Floats, Ints

SEEN_SD, UNSEEN_SD = 0.1, 0.5
"""How far a domain's log costs may lie from the prediction: one that training had, and one that it had not."""

CAUTION = 1.645
"""The upper quantile is taken at this many sds of what is not yet known about a domain's costs: 95 %."""

LEAST_CALL_SD = 0.05
"""Calls vary at least so much, in log cost: a prediction that fits training to the cent is not taken at its word."""

SHARED_CALLS = 4.0
"""The shared factor starts at 1 with the weight of so many calls."""

FARTHEST = 5.0
"""A single bill counts as at most e^5 = 148 times, or that part of, its prediction in the shared factor."""

FEWEST, MOST = 0.25, 16.0
"""Bounds of k_m, in calls: a few bills always move a factor, and no factor moves without one."""


@dataclass(frozen=True)
class CostPrior:
    """What training says about costs before any bill has come.

    Attributes
    ----------
    shift_sd : (n_domain + 1,) float
        Prior sd of a domain's log factor; the last is for requests without a label.
    call_sd : (n_model,) float
        Sd of log(cost / predicted) of single calls, out-of-fold.
    """

    shift_sd: Floats
    call_sd: Floats

    @classmethod
    def of(cls, requests: Estimates, cost: Floats) -> Self:
        """Read it off training requests and what they cost, (n, n_model) USD."""
        predicted = requests.cost_hat
        usable = (cost > 0) & (predicted > 0)
        ratio = np.log(np.where(usable, cost, 1.0) / np.where(usable, predicted, 1.0))
        seen = np.isin(np.arange(len(requests.domains) + 1), requests.domain)
        return cls(np.where(seen, SEEN_SD, UNSEEN_SD), np.maximum(ratio.std(axis=0), LEAST_CALL_SD))


class CostShift:
    """A factor on the predicted cost for each (run, domain, model), from finished calls.

    A domain whose answers are longer is dearer for every model, so a shared factor F_d is learnt from
    all calls (the shrunken geometric mean of cost / predicted cost), and each model's own factor is its
    ratio of sums, shrunk towards F_d by k_m = call_sd^2 / shift_sd^2 calls, the weight that a Gaussian
    prior on the log factor would have:

        f_{m,d} = (sum c + k_m F_d mean c^) / (sum c^ + k_m mean c^).

    A ratio of sums keeps the mean right, which exp of a mean log would not. What is left to learn after n
    calls, an sd of shift_sd sqrt(k / (k + n)), widens the upper quantile: of a domain that training has not
    seen nobody knows the bills yet.
    """

    def __init__(self, n_run: int, prior: CostPrior) -> None:
        n_domain, n_model = len(prior.shift_sd), len(prior.call_sd)
        self._sd = prior.shift_sd
        self._pseudo = np.clip(np.square(prior.call_sd / self._sd[:, None]), FEWEST, MOST)
        self._logs, self._calls = np.zeros((2, n_run, n_domain))
        self._paid, self._expected, self._count = np.zeros((3, n_run, n_domain, n_model))
        # By how much what is not known yet widens the upper quantile.
        self._doubt: Floats = np.tile(np.exp(CAUTION * self._sd)[None, :, None], (n_run, 1, n_model))

    @property
    def state(self) -> tuple[Any, ...]:
        """All of it, as kernels take it."""
        sums = self._logs, self._calls, self._paid, self._expected, self._count
        return *sums, self._doubt, self._sd, self._pseudo

    def correct(self, run: Ints, requests: Estimates) -> dict[str, Floats]:
        """Return ``cost_hat`` and ``cost_upper`` after what bills have taught: (n, n_model), USD."""
        whole, row = requests.place()
        mean, upper = np.empty((2, len(run), self._pseudo.shape[1]))
        correct_costs(run, row, whole.domain, whole.cost_hat, whole.cost_upper, self.state, mean, upper)
        return {"cost_hat": mean, "cost_upper": upper}

    def factor(self, run: Ints, domain: Ints) -> Floats:
        """Return the factors of some (run, domain) pairs: (n, n_model)."""
        one = np.ones((len(run), self._pseudo.shape[1]))
        mean, upper = np.empty((2, *one.shape))
        correct_costs(run, np.arange(len(run)), domain, one, one, self.state, mean, upper)
        return mean

    def update(self, run: Ints, domain: Ints, model: Ints, predicted: Floats, cost: Floats) -> None:
        """Take finished calls: all ``(n,)``, costs in USD. A free call says nothing of the ratio."""
        _take_bills(run, domain, model, predicted, cost, self.state)

    def update_all(self, run: Ints, domain: Ints, predicted: Floats, cost: Floats) -> None:
        """Take the calls of every model at once (full information): costs are (n, n_model)."""
        with np.errstate(all="ignore"):
            ratio = np.log(cost / predicted)
        _take_all_bills(run, domain, predicted, cost, np.clip(ratio, -FARTHEST, FARTHEST), self.state)


@kernel
def correct_costs(
    run: Ints,
    row: Ints,
    domain: Ints,
    cost_hat: Floats,
    cost_upper: Floats,
    state: Any,
    mean: Floats,
    upper: Floats,
) -> None:
    """Write mean and upper costs after what bills have taught, (n, n_model); arms behind the models are left out.

    Parameters
    ----------
    run, row : (n,) int
        Runs, and rows of ``domain``, ``cost_hat`` and ``cost_upper``.
    """
    logs, calls, paid, expected, count, doubt, _, pseudo = state
    for i in range(len(run)):
        r, q = run[i], row[i]
        d = domain[q]
        shared = exp(logs[r, d] / (calls[r, d] + SHARED_CALLS))
        for m in range(pseudo.shape[1]):
            k, n = pseudo[d, m], count[r, d, m]
            unit = expected[r, d, m] / n if n > 0 else 1.0
            factor = (paid[r, d, m] + k * shared * unit) / (expected[r, d, m] + k * unit)
            mean[i, m] = cost_hat[q, m] * factor
            upper[i, m] = cost_upper[q, m] * factor * doubt[r, d, m]


@kernel
def _take_bills(run: Ints, domain: Ints, model: Ints, predicted: Floats, cost: Floats, state: Any) -> None:
    for i in range(len(run)):
        take_bill(run[i], domain[i], model[i], predicted[i], cost[i], state)


@kernel
def _take_all_bills(run: Ints, domain: Ints, predicted: Floats, cost: Floats, ratio: Floats, state: Any) -> None:
    logs, calls, paid, expected, count, doubt, sd, pseudo = state
    for i in range(len(run)):
        r, d = run[i], domain[i]
        for m in range(cost.shape[1]):
            if np.isfinite(cost[i, m]) and cost[i, m] > 0 and predicted[i, m] > 0:
                logs[r, d] += ratio[i, m]
                calls[r, d] += 1.0
                paid[r, d, m] += cost[i, m]
                expected[r, d, m] += predicted[i, m]
                count[r, d, m] += 1.0
        for m in range(cost.shape[1]):  # a loop of its own, put into vector instructions
            doubt[r, d, m] = _doubt(sd[d], pseudo[d, m], count[r, d, m])


@formula
def _doubt(sd: float, pseudo: float, count: float) -> float:
    """Return by how much what is not known after so many calls widens the upper quantile."""
    return exp(CAUTION * sd * np.sqrt(pseudo / (pseudo + count)))


@formula
def take_bill(r: int, d: int, m: int, predicted: float, cost: float, state: Any) -> None:
    """Take one finished call."""
    logs, calls, paid, expected, count, doubt, sd, pseudo = state
    if np.isfinite(cost) and cost > 0 and predicted > 0:
        logs[r, d] += min(max(np.log(cost / predicted), -FARTHEST), FARTHEST)
        calls[r, d] += 1.0
        paid[r, d, m] += cost
        expected[r, d, m] += predicted
        count[r, d, m] += 1.0
        doubt[r, d, m] = _doubt(sd[d], pseudo[d, m], count[r, d, m])
