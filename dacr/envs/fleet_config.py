"""Models, reward and settings of ``LLMRouter-v0``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from dacr.core.cli import check_known
from dacr.core.errors import UserError
from dacr.core.values import Above0, AtLeast0, AtLeast1, Checked, Share
from dacr.types import Floats


@dataclass(frozen=True)
class ModelConfig(Checked):
    """One model of the simulated fleet.

    Attributes
    ----------
    cost_per_call : float, USD
    latency_mean, latency_std : float, seconds
    quality_score : float in [0, 1]
        Quality on the simplest prompt is half way from here to 1.
    """

    where: ClassVar[str] = "ModelConfig: "

    name: str
    cost_per_call: AtLeast0
    latency_mean: AtLeast0
    latency_std: AtLeast0
    quality_score: Share


@dataclass(frozen=True)
class RewardConfig(Checked):
    """Weights of the reward: of quality, of cost, and of latency beyond a threshold.

    quality_weight quality - cost_weight cost - latency_penalty max(0, latency - sla_threshold)

    Attributes
    ----------
    cost_weight : float, per USD
    latency_penalty : float, per second beyond ``sla_threshold``
    sla_threshold : float, seconds
    """

    where: ClassVar[str] = "RewardConfig: "

    cost_weight: float = 1.0
    quality_weight: float = 0.5
    latency_penalty: float = 2.0
    sla_threshold: float = 1.0

    def of(self, quality: Floats, cost: Floats, latency: Floats) -> Floats:
        """Return the reward of calls, (n,); a latency that is not known (NaN) costs nothing."""
        late = np.nan_to_num(np.maximum(0.0, latency - self.sla_threshold))
        return self.quality_weight * quality - self.cost_weight * cost - self.latency_penalty * late


PRESET: tuple[ModelConfig, ...] = (
    ModelConfig("tier1_large", 0.030, 2.0, 0.5, 0.95),
    ModelConfig("tier1_small", 0.003, 0.5, 0.1, 0.82),
    ModelConfig("tier2_large", 0.015, 1.5, 0.4, 0.90),
    ModelConfig("tier2_small", 0.001, 0.3, 0.08, 0.75),
    ModelConfig("open_source", 0.0005, 0.8, 0.3, 0.70),
)


@dataclass(frozen=True)
class LLMRouterConfig(Checked):
    """All settings of a simulated fleet; keyword arguments of ``gym.make("LLMRouter-v0", ...)``.

    Attributes
    ----------
    episode_length : int
        Steps until the episode is truncated.
    budget : float, USD
        The episode is terminated when it is gone.
    max_queue_depth : float
    quality_required : bool
        Each prompt says which quality it needs: a further feature, and a term of the reward,
        -quality_miss_penalty max(0, required - quality).
    queue_latency : float
        Latency grows with the chosen model's queue, by the factor 1 + queue_latency queue / max_queue_depth.
        At 0 queues are decoration and the best constant model is the optimum.
    bankrupt_penalty : float
        Taken off the reward when the money is gone.
    """

    where: ClassVar[str] = "LLMRouter-v0: "

    models: Sequence[ModelConfig] = PRESET
    reward_config: RewardConfig = RewardConfig()
    episode_length: AtLeast1 = 1000
    budget: Above0 = 10.0
    max_queue_depth: Above0 = 50.0
    quality_required: bool = False
    quality_miss_penalty: AtLeast0 = 1.0
    queue_latency: AtLeast0 = 0.0
    bankrupt_penalty: AtLeast0 = 0.0
    name: ClassVar[str] = "fleet"
    shed: ClassVar[None] = None
    retries: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(self.models))
        super().__post_init__()
        for one, kind in (*((model, ModelConfig) for model in self.models), (self.reward_config, RewardConfig)):
            if not isinstance(one, kind):
                raise UserError(f"LLMRouter-v0: expected a {kind.__name__}, got {one!r}")
        if not self.models:
            raise UserError("LLMRouter-v0 needs at least one model, got none; leave out models= for the preset fleet")

    @property
    def n_model(self) -> int:
        """Number of models."""
        return len(self.models)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the actions: the models."""
        return tuple(model.name for model in self.models)

    @property
    def n_feature(self) -> int:
        """Length of an observation: n + 4, one more with ``quality_required``."""
        return len(self.models) + 4 + int(self.quality_required)


def config_of(settings: Mapping[str, Any]) -> LLMRouterConfig:
    """Return the configuration with these settings.

    Raises
    ------
    UserError
        A keyword that is no setting.
    """
    check_known("LLMRouter-v0", settings, [field.name for field in fields(LLMRouterConfig)])
    return LLMRouterConfig(**settings)
