"""A cascade that pays for every call it makes, after FrugalGPT (arXiv 2305.05176)."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.special import logit

from dacr.core.registry import routers
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.routers.base import Cascade, Sweep
from dacr.routers.fixed import constant, hull_models
from dacr.types import SHED, Attempts, Estimates, Floats, Ints, Training


@routers.register("cascade")
class CascadeRouter(Cascade):
    """Try models from cheap to dear; keep the first answer that a judge finds good enough.

    The chain is the hull of single models in training. The judge is a logistic regression per model of
    the quality on what a caller sees: cues of the response, the call's cost, and the out-of-fold
    prediction; without recorded responses, cost and prediction alone. The last model's answer is always kept.
    Cost and latency of all calls are paid.

    Parameters
    ----------
    threshold : float in [0, 1]
        An answer is kept when the judge expects at least this quality; 0 keeps the cheapest model's.
    """

    draws = False
    stackable = ("threshold",)

    def __init__(self, *, threshold: float = 0.7) -> None:
        self.threshold = threshold

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return thresholds from 0 (the cheapest model alone) to 1 (to the end of the chain)."""
        return [{"threshold": value} for value in sweep.thresholds]

    def fit(self, train: Training) -> Self:
        """Choose the chain and learn a judge for each of its models."""
        outcomes = train.outcomes
        self.quality_: Floats = outcomes.quality.mean(axis=0)
        self.chain_ = hull_models(outcomes.cost_usd.mean(axis=0), self.quality_)
        self.judges_ = {}
        tried: list[Attempts] = []
        for m in self.chain_[:-1]:
            cues = None if outcomes.cues is None else outcomes.cues[:, m]
            answer = None if outcomes.answer is None else outcomes.answer[:, m]
            bill = outcomes.cost_usd[:, m], outcomes.latency_s[:, m]
            tried.append(Attempts(np.full(len(train), m), *bill, cues, answer))
            x, quality = self._judge_features(train.requests, tried), outcomes.quality[:, [m]]
            if outcomes.recorded is not None:
                x, quality = x[outcomes.recorded[:, m]], quality[outcomes.recorded[:, m]]
            centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
            judge = LogisticPredictor().fit(((x - centre) / scale).astype(np.float32), quality)
            self.judges_[int(m)] = (centre, scale, judge)
        return self

    def _judge_features(self, requests: Estimates, tried: Sequence[Attempts]) -> Floats:
        """Return what the judge sees of the last of the calls so far: (n, n_feature)."""
        seen = tried[-1]
        own = np.clip(requests.p[np.arange(len(seen)), seen.model], 1e-4, 1 - 1e-4)
        read = [] if seen.cues is None else [seen.cues]
        return np.column_stack([*read, logit(own), np.log(np.maximum(seen.cost_usd, 1e-9))])

    def scores(self, requests: Estimates) -> Floats:
        """Return the mean training quality (used where only one call is possible)."""
        return constant(requests, self.quality_)

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the next model of the chain, or ``SHED`` at its end."""
        following = self.chain_[len(tried)] if len(tried) < len(self.chain_) else SHED
        return np.full(len(requests), following, dtype=np.int64)

    def may_call(self, n_model: int) -> Ints:
        """Return the chain; its first model alone where every answer is kept."""
        return self.chain_[:1] if self.threshold <= 0 else self.chain_

    def keep(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Keep an answer whose judged quality reaches the threshold, and the last model's always."""
        last = np.full(len(requests), len(tried) - 1)
        for m, (centre, scale, judge) in self.judges_.items():
            rows = np.flatnonzero(tried[-1].model == m)
            if len(rows):
                x = self._judge_features(requests.take(rows), [one.take(rows) for one in tried])
                judged = judge.predict(((x - centre) / scale).astype(np.float32))[:, 0]
                last[rows[judged < self.threshold]] = -1
        return last
