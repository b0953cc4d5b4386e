"""A trained PPO network as a policy of either game."""

from __future__ import annotations

import zipfile

import numpy as np

from dacr.core import files
from dacr.core.errors import UserError
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Game, Policy
from dacr.envs.ppo import load_sb3
from dacr.envs.scenarios import Brief
from dacr.types import Ints


class PPOPolicy(Policy):
    """The most likely action of the network for each observation.

    Parameters
    ----------
    model_path : str
        The ``model.zip`` of ``scripts/train_ppo.py``.
    """

    name = "ppo"

    def __init__(self, rules: Brief | LLMRouterConfig, model_path: str | None) -> None:
        if not model_path:
            raise UserError("--policy ppo needs --model_path, the model.zip that scripts/train_ppo.py writes")
        path = files.existing_file(model_path, made_by="python scripts/train_ppo.py --env BudgetRouter-v0")
        if not zipfile.is_zipfile(path):
            raise UserError(f"{model_path} is not a model of scripts/train_ppo.py; expected a .zip that it wrote")
        self._model = load_sb3().PPO.load(path, device="cpu")
        got, expected = self._model.observation_space.shape, (rules.n_feature,)
        if got != expected:
            raise UserError(f"{model_path} was trained on observations of shape {got}, this environment has {expected}")

    def act(self, game: Game) -> Ints:
        """Return the network's actions."""
        return self._model.predict(game.observation.astype(np.float32), deterministic=True)[0]
