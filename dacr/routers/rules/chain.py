"""The fallback chain in replay: models in order, on recorded answers; every attempt is paid."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import routers
from dacr.estimates.features.cues import NAMES
from dacr.routers.base import Cascade
from dacr.routers.rules.answers import GOOD, answer_outcomes
from dacr.routers.texts import ByRequest, Texts
from dacr.types import SHED, Attempts, Bools, Estimates, Floats, Ints, Training

PUBLISHED = ("mistralai/mistral-7b-chat", "gpt-3.5-turbo-1106", "gpt-4-1106-preview")
"""A 7B model, a small cloud model, a larger one: the chain where a benchmark has them."""


@routers.register("chain")
class ChainRouter(Cascade):
    """A 7B model, then a small cloud model, then a larger one; the first answer that passes is kept.

    An answer is rejected if its call took longer than the timeout, if it refuses, or if it lacks the
    form that its domain asks for: a letter for multiple choice, a number for grade-school math, Python that
    parses for mbpp. Where a benchmark lacks these models, the chain is the cheapest, the middle and the
    best of its models by cost.

    Parameters
    ----------
    first_timeout_s, timeout_s : float, seconds
        Of the first model, and of the others. The arena charges the whole recorded latency.

    Notes
    -----
    The verdict on an answer is read off its text, which the arena hands over (:mod:`dacr.routers.texts`); only
    that of a model that was called is ever looked at. Where there are no texts, as in a matrix store, cues of the
    response decide, and without those every answer in time is kept.
    """

    draws = False

    def __init__(self, *, first_timeout_s: float = 8.0, timeout_s: float = 30.0) -> None:
        self.first_timeout_s = first_timeout_s
        self.timeout_s = timeout_s
        self._verdicts = ByRequest()

    def fit(self, train: Training) -> Self:
        """Choose the chain."""
        names = train.requests.models
        self.chain_ = chain_of(names, train.outcomes.cost_usd.mean(axis=0), train.outcomes.quality.mean(axis=0))
        self.place_ = np.zeros(len(names), dtype=np.int64)
        self.place_[self.chain_] = np.arange(len(self.chain_))
        return self

    def read_texts(self, texts: Texts) -> None:
        """Judge the recorded answers of the chain's models."""
        response = texts.responses(self.chain_)
        if response is not None:
            domain = [str(name) for name in texts.domain]
            self._verdicts.add(texts.key, answer_outcomes(response, domain, len(self.chain_)))

    def verdicts(self, requests: Estimates) -> NDArray[np.int8] | None:
        """Return the verdict on each chain model's answer, (n, len(chain_)); None where no answers were handed over."""
        return self._verdicts.find(requests.key, GOOD)

    def scores(self, requests: Estimates) -> Floats:
        """Return minus the place in the chain (used where only one call is possible)."""
        out = np.full((len(requests), len(requests.models)), -float(len(requests.models)))
        out[:, self.chain_] = -np.arange(len(self.chain_), dtype=float)
        return out

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the next model of the chain, or ``SHED`` at its end: then the request has no answer."""
        following = self.chain_[len(tried)] if len(tried) < len(self.chain_) else SHED
        return np.full(len(requests), following, dtype=np.int64)

    def may_call(self, n_model: int) -> Ints:
        """Return the chain."""
        return self.chain_

    def accept(self, requests: Estimates, attempt: Attempts) -> Bools:
        """Keep an answer that came in time, does not refuse, and has the form that is asked for."""
        limit = np.where(attempt.model == self.chain_[0], self.first_timeout_s, self.timeout_s)
        in_time: Bools = ~(attempt.latency_s > limit)
        return in_time & self._reads_well(requests, attempt)

    def _reads_well(self, requests: Estimates, attempt: Attempts) -> Bools:
        verdicts = self.verdicts(requests)
        if verdicts is not None:
            return verdicts[np.arange(len(attempt)), self.place_[attempt.model]] == GOOD
        if attempt.cues is None:
            return np.ones(len(attempt), dtype=bool)
        cue = {name: attempt.cues[:, column] > 0.5 for column, name in enumerate(NAMES)}
        return ~(cue["refuses"] | cue["empty"])


def chain_of(names: Sequence[str], cost_usd: Floats, quality: Floats) -> Ints:
    """Return the chain as model indices: the published one, else cheapest, middle and best."""
    if all(name in names for name in PUBLISHED):
        return np.array([list(names).index(name) for name in PUBLISHED], dtype=np.int64)
    best = int(np.argmax(quality))
    below = [int(m) for m in np.argsort(cost_usd, kind="stable") if cost_usd[m] <= cost_usd[best] and m != best]
    steps = [below[0], below[len(below) // 2], best] if below else [best]
    return np.array(list(dict.fromkeys(steps)), dtype=np.int64)
