"""What a policy of the budget router is: an observation in, an action out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dacr.envs.episode import Episode
from dacr.envs.scenarios import Brief


@dataclass(frozen=True)
class Seen:
    """What one call showed its caller; all of it may be used, and nothing else is told.

    Attributes
    ----------
    success : bool
        False for a shed or bankrupt step.
    """

    action: int
    success: bool
    cost_usd: float
    latency_ms: float
    reward: float


@dataclass(frozen=True)
class Answer:
    """An action, and how it came about where that matters (an LLM's raw answer, an error)."""

    action: int
    error: str | None = None
    raw: str | None = None


class Policy:
    """Base of all policies: one object plays many episodes, one after the other.

    Class attributes
    ----------------
    clairvoyant : bool
        It is shown the hidden state: a reference, marked as such in every table and figure.
    """

    name: str = ""
    clairvoyant: ClassVar[bool] = False

    def __init__(self, brief: Brief) -> None:
        self.brief = brief

    def reset(self, seed: int) -> None:
        """Begin a new episode; ``seed`` is for the policy's own draws."""

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the action for the seven numbers of an observation."""
        raise NotImplementedError(f"{type(self).__name__} must define act(observation)")

    def learn(self, seen: Seen) -> None:
        """Take what the last step showed."""

    def peek(self, episode: Episode) -> None:
        """Look at the hidden state: called before :meth:`act` for clairvoyant policies alone."""

    def close(self) -> None:
        """Give back what the policy holds open (a connection)."""
