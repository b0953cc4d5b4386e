"""``BudgetRouter-v0``: route 20 requests among providers that degrade, with money for fewer than 20 of the best.

Registered with Gymnasium by ``import dacr.envs``. The default mode is faithful to the published system,
draw for draw; ``mode="strict"`` counts money exactly and grades over the whole horizon.
"""

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dacr.core.cli import check_known
from dacr.core.errors import UserError
from dacr.envs.episode import Episode, Mode, Money
from dacr.envs.game import Game, Moved, one_of
from dacr.envs.grader import Grade, grade
from dacr.envs.scenarios import CONFIG, Scenario
from dacr.envs.scenarios import scenario as read_scenario
from dacr.types import Floats, Ints, Outcomes


class BudgetGame(Game):
    """One episode of a scenario, as policies play it."""

    n = 1

    def __init__(self, scenario: Scenario, seed: int, money: Money = "float") -> None:
        self.rules = scenario.brief()
        self.episode = Episode(scenario, seed, money)

    @property
    def observation(self) -> Floats:
        """Status of each provider, budget, queue, last latency, step: (1, n_provider + 4), all in [0, 1]."""
        return np.array([self.episode.observation()])

    @property
    def left_usd(self) -> Floats:
        """Money left."""
        return np.array([self.episode.left_usd])

    @property
    def remaining(self) -> Ints:
        """Steps until the horizon, this one included."""
        return np.array([self.rules.horizon - self.episode.number])

    def step(self, action: Ints) -> Moved:
        """Take one action."""
        reward = self.episode.step(int(action[0]))
        last = self.episode.steps[-1]
        told = np.array([[reward], [last.paid_usd], [last.success], [last.latency_ms / 1000]])
        done, never = np.array([self.episode.done]), np.zeros(1, dtype=bool)
        every = None if self.aside is None else self._every()
        return Moved(told[0], told[1], told[2], told[3], done, never, every)

    def expected(self) -> tuple[Floats, None]:
        """Return the true reliabilities; lateness is not foretold."""
        return np.clip(np.array([self.episode.hidden.health]), 0.0, 1.0), None

    def _every(self) -> Outcomes:
        health, _ = self.expected()
        price = np.array([[provider.cost_usd for provider in self.rules.providers]])
        return Outcomes(health, price, np.full_like(health, np.nan), np.zeros(health.shape, dtype=bool))


class BudgetRouterEnv(gym.Env):  # type: ignore[misc]
    """One request a step; see :class:`dacr.envs.episode.Episode` for the dynamics.

    Observation: ``Box(0, 1, (7,), float32)``: status of A, B, C (mean of the last 5 outcomes, .5 if
    never called), money left / initial, queue / 10, last latency / 500 ms, step / 20. Actions:
    ``Discrete(4)``, the last one sheds. ``info`` holds what a caller would see and nothing hidden.

    Parameters
    ----------
    scenario : str
        A name from ``configs/scenarios.yaml``, or a variant of one, such as ``shuffled_hard_multi``.
    mode : {"faithful", "strict"}
    money : {"float", "exact"}, optional
        By default that of the mode.
    config : path, optional
        Another file of scenarios.

    Notes
    -----
    ``reset(seed=n)`` plays exactly episode n. Without a seed the next episode is drawn from the
    environment's own generator. An episode ends (``terminated``) at the horizon, which the agent sees in
    its observation, or when the money is gone. Stepping a finished episode gives reward 0.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self,
        scenario: str = "hard_multi",
        mode: Mode = "faithful",
        money: Money | None = None,
        config: str | Path = CONFIG,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        check_known("BudgetRouter-v0", unknown, ("scenario", "mode", "money", "config"))
        if mode not in ("faithful", "strict"):
            raise UserError(f"unknown mode {mode!r} of BudgetRouter-v0; expected 'faithful' or 'strict'")
        if money not in (None, "float", "exact"):
            raise UserError(f"unknown money {money!r} of BudgetRouter-v0; expected 'float' or 'exact'")
        self.scenario = read_scenario(scenario, config)
        self.mode: Mode = mode
        self.money: Money = money or ("exact" if mode == "strict" else "float")
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (len(self.scenario.providers) + 4,), np.float32)
        self.action_space = spaces.Discrete(self.scenario.shed + 1)
        self.game = BudgetGame(self.scenario, 0, self.money)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin episode ``seed``; without one, an episode drawn from the environment's generator."""
        super().reset(seed=seed)
        number = int(self.np_random.integers(2**31)) if seed is None else seed
        self.game = BudgetGame(self.scenario, number, self.money)
        return self._observation(), {"left_usd": self.game.episode.left_usd}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one action; see the class."""
        episode = self.game.episode
        if episode.done:
            return self._observation(), 0.0, True, False, {"left_usd": episode.left_usd}
        reward = episode.step(one_of(action, len(self.scenario.actions)))
        last = episode.steps[-1]
        info = {
            "action": self.scenario.actions[last.action],
            "success": last.success,
            "cost": last.paid_usd,
            "latency_ms": last.latency_ms,
            "left_usd": episode.left_usd,
            "bankrupt": last.bankrupt,
        }
        return self._observation(), reward, episode.done, False, info

    def grade(self) -> Grade:
        """Grade the episode so far, in the environment's mode."""
        return grade(self.game.episode, self.mode)

    def _observation(self) -> NDArray[np.float32]:
        return np.asarray(self.game.observation[0], dtype=np.float32)
