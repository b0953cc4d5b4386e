"""Cascades under enforced budgets: the arena prices and pays the ways in which a cascade can be played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dacr.replay.static import play_static
from dacr.routers.base import Cascade, Learner, Router
from dacr.routers.dacr.spending import CostPrior, CostShift
from dacr.routers.fixed import CheapestRouter
from dacr.types import SHED, Attempts, Estimates, Feedback, Floats, Ints, Keys, Outcomes, Played, Runs, Training

UPPER = 0.99
"""Quantile of a way's training costs that is reserved: most calls are cheap, and the few that go on cost 50 times as
much. At .95 one of 120 runs of five cascades spent 31 % too much on a hold-out of the embedded benchmark."""


class WayChooser(Learner):
    """The way best in training, at costs that bills correct: hard domains cross thresholds more often than easy ones.

    Under a budget the arena's price of money moves it to cheaper ways.
    """

    name = "cascade ways"
    reads_quality = False

    def __init__(self, prior: CostPrior) -> None:
        self._prior = prior

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all bills."""
        self._cost = CostShift(n_run, self._prior)

    def scores(self, requests: Estimates) -> Floats:
        """Return what each way's quality was in training."""
        return requests.p

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return costs after the bills that have come."""
        return requests.with_(**self._cost.correct(np.arange(len(requests)), requests))

    def observe(self, feedback: Feedback) -> None:
        """Take bills."""
        predicted = feedback.requests.cost_hat[np.arange(len(feedback.run)), feedback.model]
        self._cost.update(feedback.run, feedback.requests.domain, feedback.model, predicted, feedback.cost_usd)


@dataclass(frozen=True)
class Ways:
    """What a cascade does with each request at each of its settings, as arms of which one is chosen per request.

    The first way is the cheapest model alone, so that no budget is below all of them. A cascade that has one setting
    is played with 1, 2, ... calls at most. What a way costs, and how good and late it is, is taken from training.

    Attributes
    ----------
    requests : Estimates
        Of the ways, on the test part.
    truth : Outcomes
        Sums over all calls of a way, and the quality of the answer that it keeps.
    model, attempts : (n, n_way) int
        Whose answer is kept, ``SHED`` where none is, and how many calls are made.
    path : tuple of int arrays
        Models that each way may call.
    costs : CostPrior
        How far bills may lie from what training says.
    """

    requests: Estimates
    truth: Outcomes
    model: Ints
    attempts: Ints
    path: tuple[Ints, ...]
    costs: CostPrior

    @classmethod
    def of(cls, cascades: Sequence[Cascade], train: Training, requests: Estimates, truth: Outcomes) -> Ways:
        """Play every way on the training part and on the test part; ``cascades`` is fitted, at each of its settings."""
        ways = list(cascades)
        if len(ways) == 1:
            most = int(_everywhere(ways[0], train.requests, train.outcomes).attempts.max(initial=1))
            ways = [_Shorter(ways[0], n_call) for n_call in range(1, most + 1)]
        cheapest = CheapestRouter().fit(train)
        every = [cheapest, *ways]
        before = [_everywhere(way, train.requests, train.outcomes) for way in every]
        after = [_everywhere(way, requests, truth) for way in every]
        shape = len(requests), len(every)
        path = (np.array([cheapest.scores_.argmax()]), *(way.may_call(len(requests.models)) for way in ways))
        cost = np.stack([one.cost_usd[0] for one in before])
        # One call more, of the whole path: what never went on in training may yet.
        single = train.outcomes.cost_usd.mean(axis=0)
        mean = (cost.sum(axis=1) + [single[own].sum() for own in path]) / (len(train) + 1)
        late = np.array([(one.latency_s > train.tau_s).mean() for one in before])
        p = np.broadcast_to([one.quality.mean() for one in before], shape)
        quality, cost_usd, latency_s = (
            np.stack([getattr(one, name)[0] for one in after], axis=1) for name in ("quality", "cost_usd", "latency_s")
        )
        known: dict[str, Any] = {
            "p_raw": p,
            "p": p,
            "cost_hat": np.tile(mean, (len(requests), 1)),
            "cost_upper": np.tile(np.quantile(cost, UPPER, axis=1), (len(requests), 1)),
            "p_late": np.broadcast_to(late, shape),
            "models": tuple(f"way {k + 1}" for k in range(len(every))),
        }
        seen = train.requests.with_(cost_hat=np.broadcast_to(mean, cost.T.shape))
        return cls(
            requests.with_(**known),
            Outcomes(quality, cost_usd, latency_s, latency_s > train.tau_s),
            np.stack([one.model[0] for one in after], axis=1),
            np.stack([one.attempts[0] for one in after], axis=1),
            path,
            CostPrior.of(seen, cost.T),
        )

    def most_usd(self, of_models: Floats) -> Floats:
        """Return the most that each way can cost, (n, n_way), from that of models: it may call all of its path."""
        return np.stack([of_models[:, path].sum(axis=1) for path in self.path], axis=1)

    def played(self, played: Played) -> Played:
        """Say which model's answer was kept, and how many calls were made, in place of which way was gone."""
        at = played.row, np.maximum(played.model, 0)
        called = played.model != SHED
        model = np.where(called, self.model[at], SHED)
        return replace(played, model=model, attempts=np.where(called, self.attempts[at], 0))


class _Shorter(Cascade):
    """A cascade that ends after so many calls: a request whose last answer is not kept gets none."""

    def __init__(self, whole: Cascade, n_call: int) -> None:
        self._whole = whole
        self._n_call = n_call

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the next model, or ``SHED`` after the last call."""
        if len(tried) < self._n_call:
            return self._whole.propose(requests, tried)
        return np.full(len(requests), SHED, dtype=np.int64)

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Keep what the whole cascade keeps."""
        return self._whole.keep(requests, tried)

    def scores(self, requests: Estimates) -> Floats:
        """Return the whole cascade's scores."""
        return self._whole.scores(requests)

    def may_call(self, n_model: int) -> Ints:
        """Return the models that the whole cascade calls first; all of its models where it says no order."""
        path = self._whole.may_call(n_model)
        return path if len(path) == n_model else path[: self._n_call]


def _everywhere(router: Router, requests: Estimates, outcomes: Outcomes) -> Played:
    """Play a router on all requests in the order of the table: a run, (1, n)."""
    return play_static(router, requests, outcomes, Runs(np.arange(len(requests))[None], requests.arrival_s, (1,)))
