"""PORT: routing without training, by nearest neighbours and a price learnt once on a first part of the stream."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.core.rng import generator, keyed_uniform
from dacr.estimates.predictors.knn import neighbour_means
from dacr.routers.base import Learner
from dacr.routers.terms import Choice, Terms
from dacr.types import SHED, Estimates, Feedback, Floats, Ints, Keys, Training

_STEPS = 60


@routers.register("port")
@dataclass(kw_only=True, eq=False, repr=False)
class PortRouter(Learner):
    """argmax_m d^_m(x) - (lambda_cost + mu*) g^_m(x) - lambda_late v^_m.

    d^ and g^ are the mean quality and the mean cost of the ``k`` most similar training questions, in an index of
    at most ``max_index`` rows (a seeded subsample: the approximation). No model is fitted and no rating is
    ever used. Under a budget of B dollars per request the first ``n_first`` requests go to random models, and
    the price is then solved once on their estimates and kept:

        mu* = argmin_{mu >= 0}  mu B + mean_j max_m [ d^_jm - (lambda_cost + mu) g^_jm - lambda_late v^_jm ],

    that is, the least price at which mean predicted cost is at most B; where finished calls cost b times
    what was predicted, B / b takes its place. At every time a model is open only if what was paid, and b times
    what is in flight and g^_m, stay within B times the requests so far; the cheapest is always open. Without a
    budget mu* = 0 and nothing is random.

    Reference: PORT, arXiv 2509.02718. It has one budget and one price per model and leaves requests
    unserved when a budget is used up; here all models share one purse, and the cheapest model serves.

    Parameters
    ----------
    lambda_cost : float, quality per USD
    lambda_late : float, quality per late answer
    budget_cost : float, USD per request; infinity for none
    n_first : int
        Requests that are watched before the price is solved.
    k : int
        Neighbours; as for the ``knn`` router, so that the two differ by the index and the price alone.
    """

    budget = "own"
    reads_quality: ClassVar[bool] = False
    calibrator = "identity"
    stackable = ("lambda_cost", "lambda_late", "budget_cost")

    lambda_cost: float = 0.0
    lambda_late: float = 0.0
    budget_cost: float = np.inf
    n_first: int = 100
    k: int = 40
    max_index: int = 2000

    def __post_init__(self) -> None:
        if self.n_first < 1:
            raise UserError(f"port: n_first={self.n_first}; the price is solved on at least 1 request, such as 100")

    def fit(self, train: Training) -> Self:
        """Index a seeded subsample of the training rows."""
        n = len(train)
        rows = np.arange(n)
        if n > self.max_index:
            rows = np.sort(generator("port index").permutation(n)[: self.max_index])
        self.index_ = np.ascontiguousarray(train.requests.features[rows], dtype=np.float32)
        truth = train.outcomes
        self.known_ = np.stack([truth.quality[rows], truth.cost_usd[rows]])  # (2, n_index, n_model)
        self._stream: tuple[Estimates, Floats] | None = None
        return self

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget everything that was watched."""
        n_model = self.known_.shape[2]
        self.seed = seeds
        self._mu = np.zeros((n_run, 1))
        self._paid, self._expected, self._in_flight = np.zeros((3, n_run))
        self._seen = 0
        self._watched = np.zeros((3, n_run, self.n_first, n_model))
        self._solved = False

    @property
    def _budget(self) -> Floats:
        return np.broadcast_to(np.asarray(self.budget_cost, dtype=float), self._mu.shape)

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return neighbours' mean quality and cost, looked up once for the whole stream."""
        whole, row = requests.place()
        if self._stream is None or self._stream[0] is not whole:
            known = neighbour_means(whole.features, self.index_, np.concatenate(list(self.known_), axis=1), self.k)
            self._stream = whole, np.stack(np.hsplit(known, 2))
        quality, cost = (known[row] for known in self._stream[1])  # each in one piece: kernels know one layout
        return requests.with_(p=quality, cost_hat=cost)

    def scores(self, requests: Estimates) -> Floats:
        """Return estimated quality less the prices."""
        return self._value(self.beliefs(requests), self._mu[: len(requests)])

    def _value(self, beliefs: Estimates, mu: Floats) -> Floats:
        return beliefs.p - (self.lambda_cost + mu) * beliefs.cost_hat - self.lambda_late * beliefs.p_late

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Watch the first part at random, then decide at the price it gave; a purse bounds both."""
        limited = np.isfinite(self._budget)
        if not limited.any():
            return super().decide(requests, terms)
        beliefs = self.beliefs(requests)
        if self._seen < self.n_first:
            self._watched[:, :, self._seen] = beliefs.p, beliefs.cost_hat, beliefs.p_late
        elif not self._solved:
            self._mu, self._solved = self._solve(), True
        self._seen += 1
        value = self._value(beliefs, self._mu)
        if terms is not None:
            # The arena's ledger and its price of lateness hold; the price of a dollar is this router's own.
            value = terms.guard(value, beliefs)
        cost = beliefs.cost_hat
        purse = np.where(limited, self._budget, 0.0) * self._seen - self._paid[:, None]
        is_open = (
            ~limited
            | ((cost + self._in_flight[:, None]) * self._bias() <= purse)
            | (cost == cost.min(axis=1, keepdims=True))
        )
        # Where purse and ledger have nothing in common, the ledger rules.
        is_open &= np.isfinite(value)
        value = np.where(is_open | ~is_open.any(axis=1, keepdims=True), value, -np.inf)
        best = value == value.max(axis=1, keepdims=True)
        watching = limited & (self._seen <= self.n_first)
        chance = np.where(watching, np.isfinite(value), best).astype(float)
        chance /= chance.sum(axis=1, keepdims=True)
        model = (keyed_uniform(requests.key, 1, self.seed) > np.cumsum(chance, axis=1)).sum(axis=1)
        model = np.minimum(model, chance.shape[1] - 1)
        rows = np.arange(len(model))
        choice = self.abstained(Choice(model, chance[rows, model], beliefs), value)
        # What the call is expected to cost counts until its true cost is known.
        self._in_flight += np.where(choice.model == SHED, 0.0, cost[rows, model])
        return choice

    def withdraw(self, run: Ints, requests: Estimates, model: Ints) -> None:
        """Take calls that were not made out of what is in flight."""
        self._in_flight[run] -= self.beliefs(requests).cost_hat[np.arange(len(run)), model]

    def own_price(self) -> Floats | None:
        """Return mu*, (n_run,); None without a budget."""
        return self._mu[:, 0] if np.isfinite(self._budget).any() else None

    def _solve(self) -> Floats:
        """Return the least price that keeps the first part's mean predicted cost within the budget: (n_run, 1)."""
        quality, cost, late = self._watched
        own = quality - np.asarray(self.lambda_late).reshape(-1, 1, 1) * late
        price = np.broadcast_to(np.asarray(self.lambda_cost, dtype=float), self._mu.shape)[:, :, None]
        self._solved_for = self._budget / self._bias()
        budget = self._solved_for[:, :, None]

        def mean_cost(mu: Floats) -> Floats:
            chosen = (own - (price + mu) * cost).argmax(axis=2)
            return np.take_along_axis(cost, chosen[:, :, None], axis=2).mean(axis=1, keepdims=True)

        # Bisection on the logarithm; mu is in quality per USD, so its natural unit is 1 / B.
        unit = np.where(np.isfinite(budget), 1.0 / budget, 1.0)
        low, high = np.full(unit.shape, -12.0), np.full(unit.shape, 12.0)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            fits = mean_cost(unit * np.exp(middle)) <= budget
            low, high = np.where(fits, low, middle), np.where(fits, middle, high)
        free = mean_cost(np.zeros(unit.shape)) <= budget
        return np.where(free, 0.0, unit * np.exp(high))[:, :, 0]

    def observe(self, feedback: Feedback) -> None:
        """Replace expected by true costs of calls that have ended; ratings are not used."""
        ended = np.flatnonzero(np.isfinite(feedback.cost_usd))
        if not len(ended) or not np.isfinite(self._budget).any():
            return
        expected = self.beliefs(feedback.requests.take(ended)).cost_hat[np.arange(len(ended)), feedback.model[ended]]
        run = feedback.run[ended]
        np.add.at(self._paid, run, feedback.cost_usd[ended])
        np.add.at(self._expected, run, expected)
        np.add.at(self._in_flight, run, -expected)

    def _bias(self) -> Floats:
        """Return paid / predicted over the calls that have ended, shrunk towards 1 by 5 budgets: (n_run, 1)."""
        unit = 5 * np.where(np.isfinite(self._budget), self._budget, 1.0)
        return (self._paid[:, None] + unit) / (self._expected[:, None] + unit)
