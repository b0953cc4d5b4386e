"""Policies without a model: heuristic, oracle, random, and schedules fixed in advance."""

import random
import re
from collections.abc import Iterable
from itertools import cycle

import numpy as np

from dacr.core.errors import UserError
from dacr.envs.budget_router import BudgetGame
from dacr.envs.game import Game, Policy
from dacr.envs.scenarios import Brief
from dacr.types import Ints

_TRUSTED = 0.52
_UNKNOWN = 0.5
_RESERVE = 0.10
_WORTH = -0.5  # the reward of a shed step


class Heuristic(Policy):
    """The first provider whose status is above .52, or exactly .5 (never called); else shed.

    The dearest provider is left out when less than a tenth of the money is left.
    """

    name = "heuristic"

    def act(self, game: Game) -> Ints:
        """Return the cheapest provider that seems sound."""
        n = game.rules.shed
        status, left = game.observation[:, :n], game.observation[:, n]
        sound = (status > _TRUSTED) | (status == _UNKNOWN)
        sound[:, -1] &= left >= _RESERVE
        return np.where(sound.any(axis=1), sound.argmax(axis=1), n)


class Oracle(Policy):
    """Best expected value among the providers that the money lasts for; it sees every reliability.

    EV = h - 2 (1 - h) - 5 cost / budget. A provider is skipped when cost x remaining steps > balance
    (strict: >=); if none remains, the best of those that one call can pay for; shed if none or EV < -.5.
    It looks one step ahead, so it is a strong reference and no upper bound.
    """

    name = "oracle"
    clairvoyant = True

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict

    def act(self, game: Game) -> Ints:
        """Return the best affordable provider by its true reliability."""
        assert isinstance(game, BudgetGame), "the oracle knows the budget router alone"
        left, h = float(game.left_usd[0]), game.expected()[0][0]
        price = np.array([provider.cost_usd for provider in game.rules.providers])
        value = h - 2 * (1 - h) - 5 * price / game.rules.budget_usd
        # The published oracle counts the steps that remain after the last one that was played.
        need = price * max(1, game.rules.horizon - game.episode.number)
        open_ = (need < left) if self.strict else (need <= left)
        if not open_.any():
            open_ = price <= left
        value = np.where(open_, value, -np.inf)
        best = int(value.argmax())
        return np.array([best if value[best] >= _WORTH else game.rules.shed])


class Random(Policy):
    """Any action with the same chance, from a generator of its own (the published one)."""

    name = "random"

    def reset(self, game: Game, seed: int) -> None:
        """Seed the policy's own draws."""
        self._random = random.Random(seed + 10_000)

    def act(self, game: Game) -> Ints:
        """Return uniform draws."""
        last = len(game.rules.arms) - 1
        return np.array([self._random.randint(0, last) for _ in range(game.n)])


class Schedule(Policy):
    """Actions fixed in advance, from the first again where they end; it looks at nothing.

    One action is a constant policy (``always_a``), all models are taken in turn (``round_robin``), and an action for
    each step is an open loop.
    """

    def __init__(self, name: str, actions: Iterable[int]) -> None:
        self.name, self._actions = name, tuple(actions)

    def reset(self, game: Game, seed: int) -> None:
        """Begin at the first action."""
        self._turns = cycle(self._actions)

    def act(self, game: Game) -> Ints:
        """Return the next action."""
        return np.full(game.n, next(self._turns))


def parse_schedule(brief: Brief, schedule: str) -> list[int]:
    """Turn ``"A5 B15"`` into a list of actions, one per step.

    Raises
    ------
    UserError
        A part that is no provider with a count, or a length other than the horizon.
    """
    known = {arm: action for action, arm in enumerate(brief.arms)}
    actions: list[int] = []
    for part in schedule.split():
        match = re.fullmatch(r"([A-Za-z]+)(\d+)", part)
        if not match or match[1].lower() not in known:
            raise UserError(f"schedule {schedule!r}: {part!r} should look like A5 or shed2")
        actions += [known[match[1].lower()]] * int(match[2])
    if len(actions) != brief.horizon:
        raise UserError(f"schedule {schedule!r} has {len(actions)} steps, expected {brief.horizon}")
    return actions
