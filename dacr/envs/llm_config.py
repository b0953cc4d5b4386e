"""Fleet and reward of ``LLMRouter-v0``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dacr.core.errors import UserError


@dataclass(frozen=True)
class ModelConfig:
    """One model of the simulated fleet.

    Attributes
    ----------
    cost_per_call : float, USD
    latency_mean, latency_std : float, seconds
    quality_score : float in [0, 1]
        Quality on the simplest prompt is half way from here to 1.
    """

    name: str
    cost_per_call: float
    latency_mean: float
    latency_std: float
    quality_score: float

    def __post_init__(self) -> None:
        if self.cost_per_call < 0 or self.latency_std < 0 or not 0 <= self.quality_score <= 1:
            raise UserError(
                f"model {self.name!r}: expected cost_per_call and latency_std of at least 0 and a quality_score "
                f"within [0, 1], got {self.cost_per_call:g}, {self.latency_std:g}, {self.quality_score:g}"
            )


@dataclass(frozen=True)
class RewardConfig:
    """Weights of the reward: of quality, of cost, and of latency beyond a threshold.

    quality_weight quality - cost_weight cost - latency_penalty max(0, latency - sla_threshold)

    Attributes
    ----------
    cost_weight : float, per USD
    latency_penalty : float, per second beyond ``sla_threshold``
    required_weight : float
        Weight of max(0, required - quality) where ``quality_required`` is on.
    """

    cost_weight: float = 1.0
    quality_weight: float = 0.5
    latency_penalty: float = 2.0
    sla_threshold: float = 1.0
    required_weight: float = 1.0


PRESET: tuple[ModelConfig, ...] = (
    ModelConfig("tier1_large", 0.030, 2.0, 0.5, 0.95),
    ModelConfig("tier1_small", 0.003, 0.5, 0.1, 0.82),
    ModelConfig("tier2_large", 0.015, 1.5, 0.4, 0.90),
    ModelConfig("tier2_small", 0.001, 0.3, 0.08, 0.75),
    ModelConfig("open_source", 0.0005, 0.8, 0.3, 0.70),
)


@dataclass(frozen=True)
class LLMRouterConfig:
    """All settings of a simulated fleet; keyword arguments of ``gym.make("LLMRouter-v0", ...)``.

    Attributes
    ----------
    episode_length : int
        Steps until the episode is truncated.
    budget : float, USD
        The episode is terminated when it is gone.
    queue_depth : float
    quality_required : bool
        Each prompt says which quality it needs: a further feature, and a term of the reward.
    queue_latency : float
        Latency grows with the chosen model's queue, by the factor 1 + queue_latency * queue / queue_depth.
        At 0 queues are decoration and the best constant model is the optimum.
    bankrupt_penalty : float
        Taken off the reward when the money is gone.
    """

    models: Sequence[ModelConfig] = PRESET
    reward: RewardConfig = RewardConfig()
    episode_length: int = 1000
    budget: float = 10.0
    queue_depth: float = 50.0
    quality_required: bool = False
    queue_latency: float = 0.0
    bankrupt_penalty: float = 0.0

    def __post_init__(self) -> None:
        if not self.models or self.episode_length < 1 or self.budget <= 0 or self.queue_depth <= 0:
            raise UserError(
                "LLMRouter-v0 needs at least one model, episode_length >= 1, budget > 0 and queue_depth > 0; got "
                f"{len(self.models)}, {self.episode_length}, {self.budget:g}, {self.queue_depth:g}"
            )
        if self.queue_latency < 0 or self.bankrupt_penalty < 0:
            raise UserError(
                "queue_latency and bankrupt_penalty are at least 0, "
                f"got {self.queue_latency:g} and {self.bankrupt_penalty:g}"
            )

    @property
    def n_feature(self) -> int:
        """Length of an observation: n + 4, one more with ``quality_required``."""
        return len(self.models) + 4 + int(self.quality_required)
