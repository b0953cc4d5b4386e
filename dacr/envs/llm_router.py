"""``LLMRouter-v0``: choose a model for each prompt; registered with Gymnasium by ``import dacr.envs``.

gym.make("LLMRouter-v0", episode_length=500, budget=5.0)           a simulated fleet
gym.make("LLMRouter-v0", queue_latency=4.0)                        where queues matter
gym.make("LLMRouter-v0", data="data/routerbench_long.parquet")     recorded outcomes

The vectorised form plays a thousand episodes at more than a million steps a second.
"""

import math
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.envs.fleet import SimulatedFleet
from dacr.envs.fleet_config import config_of
from dacr.envs.game import one_of
from dacr.envs.recorded import Replay, replay_of
from dacr.types import Bools, Floats, Ints


class LLMRouterEnv(gym.Env):  # type: ignore[misc]
    """Observation ``Box(0, 1, (n + 4,), float32)``, action ``Discrete(n)``; see
    :class:`~dacr.envs.fleet.SimulatedFleet`.

    reward = - cost + .5 quality - 2 max(0, latency - 1 s). ``info`` tells cost (USD), quality, latency (s),
    model_name, budget_remaining (USD) and sla_violated (latency and sla_violated are None where a
    replayed benchmark has not recorded them), and quality_required where that option is on. The episode is
    terminated when the money is gone, truncated at ``episode_length``.

    Parameters
    ----------
    data : path or RoutingTable, optional
        Replay mode: arms are the models of this table and outcomes the recorded ones
        (:class:`~dacr.envs.recorded.Replay`, which also names the settings of this mode).
    seed : int, optional
        Of the first episode, where ``reset`` names none.
    settings
        Fields of :class:`~dacr.envs.fleet_config.LLMRouterConfig`: models, reward_config, episode_length, budget,
        max_queue_depth, quality_required, quality_miss_penalty, queue_latency, bankrupt_penalty.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self,
        data: str | Path | RoutingTable | None = None,
        render_mode: str | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        self.render_mode = render_mode
        self.game: SimulatedFleet | Replay
        if data is None:
            config = config_of(settings)
            self.game = SimulatedFleet(config, 1)
            low, n_feature, reward = 0.0, config.n_feature, config.reward_config
            self.episode_length, self.budget = config.episode_length, config.budget
        else:
            self.game = replay_of(data, **settings)
            low, n_feature, reward = -1.0, self.game.n_feature, self.game.reward
            self.episode_length, self.budget = self.game.episode_length, self.game.config.budget
        self._threshold = reward.sla_threshold
        self.observation_space = spaces.Box(low, 1.0, (n_feature,), np.float32)
        self.action_space = spaces.Discrete(len(self.game.rules.arms))
        if seed is not None:
            super().reset(seed=seed)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode; the same seed gives the same one."""
        super().reset(seed=seed)
        self.game.reset(self.np_random)
        return self.game.observation[0].copy(), {"budget_remaining": float(self.game.left_usd[0])}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Route one prompt."""
        required = self.game.required[0] if isinstance(self.game, SimulatedFleet) else 0.0
        number = one_of(action, len(self.game.rules.arms))
        moved = self.game.step(np.array([number]))
        latency = float(moved.latency[0])
        info = {
            "cost": float(moved.cost[0]),
            "quality": float(moved.quality[0]),
            "latency": None if math.isnan(latency) else latency,
            "model_name": self.game.rules.arms[number],
            "budget_remaining": float(self.game.left_usd[0]),
            "sla_violated": None if math.isnan(latency) else latency > self._threshold,
        }
        if isinstance(self.game, SimulatedFleet) and self.game.config.quality_required:
            info["quality_required"] = float(required)
        reward, terminated, truncated = float(moved.reward[0]), bool(moved.terminated[0]), bool(moved.truncated[0])
        return self.game.observation[0].copy(), reward, terminated, truncated, info


class LLMRouterVectorEnv(VectorEnv):  # type: ignore[misc]
    """``num_envs`` simulated fleets in one object (preset modes, not replay).

    All episodes draw from one generator, seeded by ``reset(seed=...)``. An episode that ended is reset by
    the next step, whose action for it is ignored and whose reward is 0 (Gymnasium's NEXT_STEP). ``info``
    holds arrays of what :class:`LLMRouterEnv` tells.

    Parameters
    ----------
    num_envs : int
    settings
        Fields of :class:`~dacr.envs.fleet_config.LLMRouterConfig`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **settings: Any) -> None:
        if num_envs < 1:
            raise UserError(f"num_envs must be at least 1, got {num_envs}")
        self.config = config_of(settings)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = spaces.Box(0.0, 1.0, (self.config.n_feature,), np.float32)
        self.single_action_space = spaces.Discrete(self.config.n_model)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._fleet = SimulatedFleet(self.config, num_envs)
        self._ended: Bools = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin new episodes everywhere; a list of seeds names the one generator as well."""
        if seed is not None:
            parts = seed if isinstance(seed, int) else [0 if s is None else int(s) for s in seed]
            self._np_random = np.random.default_rng(parts)
            self._np_random_seed = seed if isinstance(seed, int) else -1
        self._fleet.reset(self.np_random)
        self._ended[:] = False
        return self._fleet.observation.copy(), {}

    def step(self, actions: Ints) -> tuple[NDArray[np.float32], Floats, Bools, Bools, dict[str, Any]]:
        """Route one prompt in every episode; ``actions`` : (num_envs,) int."""
        actions = np.asarray(actions)
        required = self._fleet.required
        moved = self._fleet.step(actions)
        reward, terminated, truncated = moved.reward, moved.terminated, moved.truncated
        if self._ended.any():
            self._fleet.reset(self.np_random, np.flatnonzero(self._ended))
            reward = np.where(self._ended, 0.0, reward)
            terminated, truncated = terminated & ~self._ended, truncated & ~self._ended
        self._ended = terminated | truncated
        info = {
            "cost": moved.cost,
            "quality": moved.quality,
            "latency": moved.latency,
            "model": actions,
            "budget_remaining": self._fleet.left_usd.copy(),
            "sla_violated": moved.latency > self.config.reward_config.sla_threshold,
        }
        if self.config.quality_required:
            info["quality_required"] = required
        return self._fleet.observation.copy(), reward, terminated, truncated, info
