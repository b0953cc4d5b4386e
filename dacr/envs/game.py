"""What both games share: episodes side by side, what a policy is, and the one loop that plays them.

A game holds ``n`` episodes. The budget router has one (its draws come from one generator of the standard
library), the fleet any number, in one array operation a step. A policy reads observations and returns actions.
"""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dacr.types import Bools, Floats, Ints, Outcomes


@dataclass(frozen=True)
class Moved:
    """What one step gave to the caller of each episode, each (n,).

    Attributes
    ----------
    cost : (n,) float, USD paid
    quality : (n,) float in [0, 1]
        Of the budget router: whether the call succeeded; 0 for a shed step.
    latency : (n,) float, seconds
        NaN where a replayed benchmark has none, 0 where no call was made.
    every : Outcomes or None
        What every model would have given: where ``Game.aside`` asks for it, for full-information twins alone.
    """

    reward: Floats
    cost: Floats
    quality: Floats
    latency: Floats
    terminated: Bools
    truncated: Bools
    every: Outcomes | None = None


class Game:
    """``n`` episodes side by side.

    Attributes
    ----------
    rules : Brief or LLMRouterConfig
        What an agent is told before an episode; ``rules.arms`` names the actions.
    observation : (n, n_feature) float
    balance : (n,) float
        Money left in USD, in a game that keeps it itself.
    episode_length : int
        The time limit.
    steps : (n,) int
        Steps that were taken.
    aside : Generator or None
        Where it is given, each step also tells what every model would have given, drawn from it.
    """

    rules: Any
    n: int
    aside: np.random.Generator | None = None
    observation: Any
    balance: Floats
    episode_length: int
    steps: Ints

    @property
    def left_usd(self) -> Floats:
        """Money left, which every observation but that of a replay shows as well: (n,)."""
        return self.balance

    @property
    def remaining(self) -> Ints:
        """Steps until the time limit, this one included: (n,)."""
        return self.episode_length - self.steps

    def step(self, action: Ints) -> Moved:
        """Take one action (n,) in every episode."""
        raise NotImplementedError

    def check(self, action: Ints) -> None:
        """Refuse an action that is none."""
        last = len(self.rules.arms) - 1
        if action.min() < 0 or action.max() > last:
            wrong = action[(action < 0) | (action > last)][0]
            raise ValueError(f"action {wrong} is not one of 0..{last}")

    def expected(self) -> tuple[Floats, Floats | None]:
        """Return what clairvoyant references see: mean quality, and P(late) or None; (n, n_model) each."""
        raise NotImplementedError


def one_of(action: Any, n_action: int) -> int:
    """Return an action as the number that it is; refuse what is no action, a fraction among it."""
    try:
        number = operator.index(action)
    except TypeError:
        number = -1
    if not 0 <= number < n_action:
        raise ValueError(f"action {action!r} is not one of 0..{n_action - 1}")
    return number


class Note(NamedTuple):
    """How an action came about, where that matters: an LLM's raw answer, an error."""

    error: str | None = None
    raw: str | None = None


class Policy:
    """Base of all policies: one object plays many games, one after the other.

    Attributes
    ----------
    clairvoyant : bool
        It reads more of a game than its observation: a reference, marked as such in every table and figure.
    note : Note
        On the last action.
    """

    name = ""
    clairvoyant = False
    note = Note()

    def reset(self, game: Game, seed: int) -> None:
        """Begin new episodes; ``seed`` is for the policy's own draws."""

    def act(self, game: Game) -> Ints:
        """Return (n,) actions."""
        raise NotImplementedError(f"{type(self).__name__} must define act(game)")

    def learn(self, action: Ints, moved: Moved, going: Bools) -> None:
        """Take what the last step gave in the episodes that were ``going`` on."""

    def close(self) -> None:
        """Give back what the policy holds open (a connection)."""


def turns(game: Game, policy: Policy, seed: int) -> Iterator[tuple[Ints, Moved, Bools]]:
    """Play a game that was just begun to its end; yield actions, what they gave, and which episodes were going on."""
    policy.reset(game, seed)
    going = np.ones(game.n, dtype=bool)
    while going.any():
        action = policy.act(game)
        moved = game.step(action)
        policy.learn(action, moved, going)
        yield action, moved, going
        going = going & ~(moved.terminated | moved.truncated)
