"""The rule router in replay: classes by keyword, tiers over a benchmark's models, hard limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dacr.core.registry import routers
from dacr.routers.base import Cascade
from dacr.routers.rules.classes import CLASSES, class_codes
from dacr.routers.rules.engine import ModelOption, RuleEngine, RulePolicy
from dacr.routers.texts import ByRequest, Texts
from dacr.types import SHED, Attempts, Bools, Estimates, Floats, Ints, Training


@routers.register("rules")
@dataclass(kw_only=True, eq=False, repr=False)
class RulesRouter(Cascade):
    """Local first, the smallest capable model of the request's complexity class, within hard limits.

    Tiers come from the training part: the cheapest third of the models is local; those of at least median
    quality are capable of complex and critical tasks. A call that is estimated to break a limit is not
    made: the next model in the order of preference is, or none.

    Parameters
    ----------
    max_cost_per_task_usd : float, USD
        Checked against the predicted mean cost of the call.
    max_latency_per_call_s : float, seconds
        Checked against the model's mean training latency.
    max_tokens_per_task : int
        Checked against characters / 4 plus ``expected_output_tokens``, where the prompt is known.

    Notes
    -----
    A class is read off the text, which estimates do not carry: the arena hands it over (:mod:`dacr.routers.texts`).
    A request whose text was not given is moderate, which is what nearly all are.
    """

    draws = False
    budget = "none"  # its limits are its own

    max_cost_per_task_usd: float = 0.10
    max_latency_per_call_s: float = 30.0
    max_tokens_per_task: int = 10_000

    def __post_init__(self) -> None:
        self._read = ByRequest()

    @property
    def policy(self) -> RulePolicy:
        """The policy with this router's limits."""
        return RulePolicy(
            max_cost_per_task_usd=self.max_cost_per_task_usd,
            max_latency_per_call_s=self.max_latency_per_call_s,
            max_tokens_per_task=self.max_tokens_per_task,
            fallback_model="",
        )

    def fit(self, train: Training) -> Self:
        """Make tiers of the models, and the order of preference of each class."""
        outcomes = train.outcomes
        cost, quality = outcomes.cost_usd.mean(axis=0), outcomes.quality.mean(axis=0)
        names = train.requests.models
        known = np.isfinite(outcomes.latency_s)
        # Where nothing is recorded, nothing is held against a model.
        self.latency_ = np.where(known, outcomes.latency_s, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        self.options_ = tiers(names, cost, quality, self.latency_)
        engine = RuleEngine(self.policy, self.options_)
        self.rank_ = np.zeros((len(CLASSES), len(names)))
        for code, name in enumerate(CLASSES):
            for rank, option in enumerate(engine.preference(name)):
                self.rank_[code, names.index(option.spec)] = rank
        return self

    def read_texts(self, texts: Texts) -> None:
        """Read class and length off prompts; answers are not looked at.

        The class is that of the question, not of worked examples before it.
        """
        length = np.array([len(prompt) for prompt in texts.prompt], dtype=np.int64)
        codes = class_codes(texts.question)
        self._read.add(texts.key, np.column_stack([codes, self.policy.tokens(length)]))

    def classes(self, requests: Estimates) -> Ints:
        """Return the class of each request as an index into ``CLASSES``."""
        read = self._read.find(requests.key, -1)
        codes = np.full(len(requests), -1) if read is None else read[:, 0]
        return np.where(codes < 0, CLASSES.index("moderate"), codes)

    def allowed(self, requests: Estimates) -> Bools:
        """Say which calls keep to the limits on estimates: (n, n_model) bool."""
        read = self._read.find(requests.key, 0)
        tokens = np.zeros(len(requests), dtype=np.int64) if read is None else read[:, 1]
        broken = self.policy.broken(requests.cost_hat, self.latency_, tokens[:, None])
        return ~np.logical_or.reduce(np.broadcast_arrays(*broken.values()))

    def scores(self, requests: Estimates) -> Floats:
        """Return minus the rank in the class's order of preference; what breaks a limit comes last."""
        rank = self.rank_[self.classes(requests)]
        return -(rank + rank.shape[1] * ~self.allowed(requests))

    def propose(self, requests: Estimates, tried: Sequence[Attempts]) -> Ints:
        """Return the preferred model, or ``SHED`` where every model breaks a limit."""
        if tried:
            return np.full(len(requests), SHED)
        model = self.decide(requests).model
        return np.where(self.allowed(requests).any(axis=1), model, SHED)


def tiers(names: Sequence[str], cost_usd: Floats, quality: Floats, latency_s: Floats) -> list[ModelOption]:
    """Return the models as options of the rules: the cheapest third is local.

    ``cost_per_1k_tokens`` is the mean cost of a call: it only orders the models here.
    """
    n_local = max(1, len(names) // 3)
    local = set(np.argsort(cost_usd, kind="stable")[:n_local].tolist())
    capable = quality >= np.median(quality)
    return [
        ModelOption(name, m in local, float(cost_usd[m]), float(latency_s[m]), 10**9, ("code",) if capable[m] else ())
        for m, name in enumerate(names)
    ]
