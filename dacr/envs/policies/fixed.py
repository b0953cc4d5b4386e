"""Policies without a model: heuristic, oracle, random, constant, and schedules fixed in advance."""

from __future__ import annotations

import random
import re
from typing import ClassVar

from dacr.core.errors import UserError
from dacr.envs.episode import Episode, Mode
from dacr.envs.policies.base import Answer, Policy
from dacr.envs.scenarios import Brief

_TRUSTED = 0.52
_UNKNOWN = 0.5
_RESERVE = 0.10


class Heuristic(Policy):
    """The first provider whose status is above .52, or exactly .5 (never called); else shed.

    The dearest provider is left out when less than a tenth of the money is left.
    """

    name = "heuristic"

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the cheapest provider that seems sound."""
        dearest = self.brief.shed - 1
        for provider in range(self.brief.shed):
            if provider == dearest and observation[self.brief.shed] < _RESERVE:
                continue
            status = observation[provider]
            if status > _TRUSTED or status == _UNKNOWN:
                return Answer(provider)
        return Answer(self.brief.shed)


class Oracle(Policy):
    """Best expected value among the providers that the money lasts for; it sees every reliability.

    EV = h - 2 (1 - h) - 5 cost / budget. A provider is skipped when cost x remaining steps > balance
    (strict: >=); if none remains, the best of those that one call can pay for; shed if none or EV < -.5.
    It looks one step ahead, so it is a strong reference and no upper bound.
    """

    name = "oracle"
    clairvoyant: ClassVar[bool] = True

    def __init__(self, brief: Brief, mode: Mode = "faithful") -> None:
        super().__init__(brief)
        self.strict = mode == "strict"
        self._episode: Episode | None = None

    def peek(self, episode: Episode) -> None:
        """Keep the episode in view."""
        self._episode = episode

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the best affordable provider by its true reliability."""
        assert self._episode is not None, "the oracle must be shown the episode"
        left = self._episode.left_usd
        remaining = max(1, self.brief.horizon - self._episode.number)
        price = [provider.cost_usd for provider in self.brief.providers]
        value = [
            h - 2 * (1 - h) - 5 * cost / self.brief.budget_usd
            for h, cost in zip(self._episode.hidden.health, price, strict=True)
        ]
        lasting = [i for i, cost in enumerate(price) if self._lasts(cost * remaining, left)]
        options = lasting or [i for i, cost in enumerate(price) if cost <= left]
        if not options:
            return Answer(self.brief.shed)
        best = max(options, key=lambda i: value[i])
        return Answer(best if value[best] >= -0.5 else self.brief.shed)

    def _lasts(self, need: float, left: float) -> bool:
        return need < left if self.strict else need <= left


class Random(Policy):
    """Any action with the same chance, from a generator of its own."""

    name = "random"

    def reset(self, seed: int) -> None:
        """Seed the policy's own draws."""
        self._random = random.Random(seed + 10_000)

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return a uniform draw."""
        return Answer(self._random.randint(0, self.brief.shed))


class Always(Policy):
    """The same action at every step: ``always_a``, ``always_b``, ``always_c`` or ``always_shed``."""

    def __init__(self, brief: Brief, action: int) -> None:
        super().__init__(brief)
        self.action = action
        self.name = f"always_{brief.actions[action].removeprefix('route_to_').removesuffix('_load')}"

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the one action."""
        return Answer(self.action)


class OpenLoop(Policy):
    """A schedule fixed in advance, such as ``"A1 B8 C6 shed5"``; it looks at the step alone."""

    name = "open_loop"

    def __init__(self, brief: Brief, schedule: str) -> None:
        super().__init__(brief)
        self.schedule = schedule
        self._actions = parse_schedule(brief, schedule)

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Return the scheduled action of the next step."""
        return Answer(self._actions[min(round(observation[-1] * self.brief.horizon), len(self._actions) - 1)])


def parse_schedule(brief: Brief, schedule: str) -> list[int]:
    """Turn ``"A5 B15"`` into a list of actions, one per step.

    Raises
    ------
    UserError
        A part that is no provider with a count, or a length other than the horizon.
    """
    letters = {provider.name.lower(): i for i, provider in enumerate(brief.providers)} | {"shed": brief.shed}
    actions: list[int] = []
    for part in schedule.split():
        match = re.fullmatch(r"([A-Za-z]+)(\d+)", part)
        if not match or match[1].lower() not in letters:
            raise UserError(f"schedule {schedule!r}: {part!r} should look like A5 or shed2")
        actions += [letters[match[1].lower()]] * int(match[2])
    if len(actions) != brief.horizon:
        raise UserError(f"schedule {schedule!r} has {len(actions)} steps, expected {brief.horizon}")
    return actions
