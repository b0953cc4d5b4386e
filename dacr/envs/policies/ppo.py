"""A trained PPO model as a policy."""

from __future__ import annotations

import zipfile

import numpy as np

from dacr.core import files
from dacr.core.errors import UserError
from dacr.envs.policies.base import Answer, Policy
from dacr.envs.ppo import load_sb3
from dacr.envs.scenarios import Brief


class PPOPolicy(Policy):
    """The most likely action of the network for this observation."""

    name = "ppo"

    def __init__(self, brief: Brief, model_path: str) -> None:
        super().__init__(brief)
        path = files.existing_file(model_path, made_by="python scripts/train_ppo.py --env BudgetRouter-v0")
        if not zipfile.is_zipfile(path):
            raise UserError(f"{model_path} is not a model of scripts/train_ppo.py; expected a .zip that it wrote")
        self._model = load_sb3().PPO.load(path, device="cpu")
        expected = (len(brief.providers) + 4,)
        if self._model.observation_space.shape != expected:
            got = self._model.observation_space.shape
            raise UserError(f"{model_path} was trained on observations of shape {got}, this environment has {expected}")

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the network's action."""
        action, _ = self._model.predict(np.array(observation, dtype=np.float32), deterministic=True)
        return Answer(int(action))
