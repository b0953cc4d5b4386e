"""``LLMRouter-v0``: choose a model for each prompt; registered with Gymnasium by ``import dacr.envs``.

gym.make("LLMRouter-v0", episode_length=500, budget=5.0)           a simulated fleet
gym.make("LLMRouter-v0", queue_latency=4.0)                        where queues matter
gym.make("LLMRouter-v0", data="data/routerbench_long.parquet")     recorded outcomes
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dacr.data.table import RoutingTable
from dacr.envs.llm_config import LLMRouterConfig
from dacr.envs.llm_fleet import Fleet
from dacr.envs.llm_replay import Replay, replay_of


class LLMRouterEnv(gym.Env):  # type: ignore[misc]
    """Observation ``Box(0, 1, (n + 4,), float32)``, action ``Discrete(n)``; see :class:`Fleet`.

    reward = - cost + .5 quality - 2 max(0, latency - 1 s). ``info`` tells cost (USD), quality, latency (s),
    model_name, budget_remaining (USD) and sla_violated (latency and sla_violated are None where a
    replayed benchmark has not recorded them). The episode is terminated when the money is gone,
    truncated at ``episode_length``.

    Parameters
    ----------
    data : path or RoutingTable, optional
        Replay mode: arms are the models of this table and outcomes the recorded ones
        (:class:`~dacr.envs.llm_replay.Replay`, which also names the settings of this mode).
    settings
        Fields of :class:`~dacr.envs.llm_config.LLMRouterConfig`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self, data: str | Path | RoutingTable | None = None, render_mode: str | None = None, **settings: Any
    ) -> None:
        self.render_mode = render_mode
        self._arena: Fleet | Replay
        if data is None:
            self.config = LLMRouterConfig(**settings)
            self._arena = Fleet(self.config, 1)
            self.model_names = tuple(model.name for model in self.config.models)
            low, high, n_feature = 0.0, 1.0, self.config.n_feature
            self._threshold = self.config.reward.sla_threshold
        else:
            self._arena = replay_of(data, **settings)
            self.model_names = self._arena.models
            low, high, n_feature = -1.0, 1.0, self._arena.n_feature
            self._threshold = self._arena.reward.sla_threshold
        self.observation_space = spaces.Box(low, high, (n_feature,), np.float32)
        self.action_space = spaces.Discrete(len(self.model_names))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode; the same seed gives the same one."""
        super().reset(seed=seed)
        self._arena.reset(self.np_random)
        return self._arena.observation[0].copy(), {"budget_remaining": float(self._arena.balance[0])}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Route one prompt."""
        moved = self._arena.step(self.np_random, np.array([int(action)]))
        latency = float(moved.latency[0])
        info = {
            "cost": float(moved.cost[0]),
            "quality": float(moved.quality[0]),
            "latency": None if math.isnan(latency) else latency,
            "model_name": self.model_names[int(action)],
            "budget_remaining": float(self._arena.balance[0]),
            "sla_violated": None if math.isnan(latency) else latency > self._threshold,
        }
        reward, terminated, truncated = float(moved.reward[0]), bool(moved.terminated[0]), bool(moved.truncated[0])
        return self._arena.observation[0].copy(), reward, terminated, truncated, info
