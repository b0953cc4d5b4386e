"""The vectorised ``LLMRouter-v0``: a thousand episodes at more than a million steps a second."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.envs.llm_config import LLMRouterConfig
from dacr.envs.llm_fleet import Fleet
from dacr.types import Bools, Floats, Ints


class LLMRouterVectorEnv(VectorEnv):  # type: ignore[misc]
    """``num_envs`` simulated fleets in one object (preset modes, not replay).

    All episodes draw from one generator, seeded by ``reset(seed=...)``. An episode that ended is reset by
    the next step, whose action for it is ignored and whose reward is 0 (Gymnasium's NEXT_STEP). ``info``
    holds arrays of what :class:`~dacr.envs.llm_router.LLMRouterEnv` tells.

    Parameters
    ----------
    num_envs : int
    settings
        Fields of :class:`~dacr.envs.llm_config.LLMRouterConfig`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **settings: Any) -> None:
        if num_envs < 1:
            raise UserError(f"num_envs must be at least 1, got {num_envs}")
        self.config = LLMRouterConfig(**settings)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = spaces.Box(0.0, 1.0, (self.config.n_feature,), np.float32)
        self.single_action_space = spaces.Discrete(len(self.config.models))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._fleet = Fleet(self.config, num_envs)
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
        moved = self._fleet.step(self.np_random, actions)
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
            "budget_remaining": self._fleet.balance.copy(),
            "sla_violated": moved.latency > self.config.reward.sla_threshold,
        }
        return self._fleet.observation.copy(), reward, terminated, truncated, info


def make_vec(num_envs: int, **settings: Any) -> LLMRouterVectorEnv:
    """Return ``gym.make_vec("LLMRouter-v0", num_envs)`` with its vectorised implementation.

    Examples
    --------
    >>> envs = make_vec(8, queue_latency=4.0)
    >>> envs.reset(seed=1)[0].shape
    (8, 9)
    """
    envs = gym.make_vec("LLMRouter-v0", num_envs, vectorization_mode="vector_entry_point", **settings)
    assert isinstance(envs, LLMRouterVectorEnv)
    return envs
