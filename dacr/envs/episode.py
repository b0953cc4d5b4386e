"""One episode of the budget router: its dynamics, apart from any interface.

The order of draws is part of the behaviour. They come from one ``random.Random(seed)`` of the standard
library, whose ``gauss`` keeps a second value for its next call; numpy could not reproduce that.
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import Literal

from dacr.core.money import NANO_PER_USD, nearest
from dacr.envs.scenarios import Scenario

Mode = Literal["faithful", "strict"]
Money = Literal["float", "exact"]

BANKRUPT_REWARD = -10.0
SHED_REWARD = -0.5
_FLOOR = 0.05
_NOISE = 0.02


@dataclass(frozen=True)
class Step:
    """What one step was, as the grader reads it.

    Attributes
    ----------
    number : int
        From 1.
    latency_ms : float
        To two digits, as the published grader reads it; 0 for a shed or bankrupt step.
    cost_usd : float
        A bankrupt step is recorded at the full price of the call that was not made.
    queue_overflow : bool
        A failed call found no room for both of its places in the queue.
    status : tuple of float
        Status of each provider before the step.
    """

    number: int
    action: int
    routed: bool
    success: bool
    cost_usd: float
    latency_ms: float
    reward: float
    bankrupt: bool = False
    queue_overflow: bool = False
    status: tuple[float, ...] = ()

    @property
    def paid_usd(self) -> float:
        """Money that was really taken: nothing for the call that a bankrupt step did not make."""
        return 0.0 if self.bankrupt else self.cost_usd


class Hidden:
    """What no agent sees: the reliability of each provider, and when it starts to fall.

    Attributes
    ----------
    health : list of float
        Success probability of each provider now.
    onsets : tuple of int
        First step of each degradation, in order of the scenario's (ascending in a variant).
    targets : tuple of int
        The provider that each degradation hits.
    """

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self._scenario = scenario
        self._rng = rng
        self.health = list(scenario.reliability)
        if scenario.variant is None:
            self.targets = tuple(d.target for d in scenario.degradations)
            self.onsets = tuple(
                max(0, d.onset + rng.randint(-d.jitter, d.jitter)) if d.jitter > 0 else d.onset
                for d in scenario.degradations
            )
            return
        v, n = scenario.variant, len(scenario.degradations)
        self.targets = tuple(rng.sample(range(len(scenario.providers)), n))
        self.onsets = tuple(sorted(rng.randint(*v.onset) for _ in range(n)))
        self._ends = [onset + rng.randint(*(v.down if v.flaps else v.lasts)) for onset in self.onsets]
        self._down = [False] * n
        self._turns = list(self.onsets)

    def move(self, number: int) -> None:
        """Move the reliabilities to step ``number``."""
        if self._scenario.variant is None:
            for d, onset in zip(self._scenario.degradations, self.onsets, strict=True):
                if number >= onset:
                    self._fall(d.target, d.rate)
        elif self._scenario.variant.flaps:
            self._flap(number)
        else:
            v = self._scenario.variant
            for target, onset, end in zip(self.targets, self.onsets, self._ends, strict=True):
                if onset <= number < end:
                    self._fall(target, v.rate)
                elif number >= end:
                    risen = self.health[target] + v.recovery_rate + self._rng.gauss(0.0, _NOISE)
                    self.health[target] = min(self._scenario.reliability[target], risen)

    def _fall(self, target: int, rate: float) -> None:
        self.health[target] = max(_FLOOR, self.health[target] - (rate + self._rng.gauss(0.0, _NOISE)))

    def _flap(self, number: int) -> None:
        v = self._scenario.variant
        assert v is not None
        for i, target in enumerate(self.targets):
            while number >= self._turns[i]:
                self._down[i] = not self._down[i]
                self._turns[i] += self._rng.randint(*(v.down if self._down[i] else v.up))
            self.health[target] = v.down_health if self._down[i] else self._scenario.reliability[target]


class Episode:
    """The state of one episode; :meth:`step` moves it on.

    A step, in this order: the hidden reliabilities move; a shed costs .5 of reward and drains the queue by
    1; a routed call is paid first, and a balance of 0 or less then ends the episode at reward -10 without
    a call; otherwise

        success = U < health,   amplifier = 1 + .5 queue / cap,   noise ~ N(0, noise_ms)
        latency = max(10, (base + noise) amplifier),   or (base + abs(noise) + 200) amplifier on failure
        reward  = (+1 or -2) - 5 cost / budget - max(0, latency - sla) / sla

    and the queue drains by 1 on success or grows by 2 on failure.

    Parameters
    ----------
    money : {"float", "exact"}
        Exact money counts whole nano-dollars. In float money ten calls at .1 leave 1.0 a little above 0,
        so that a call more is made than there is money for.
    """

    def __init__(self, scenario: Scenario, seed: int, money: Money = "float") -> None:
        self.scenario = scenario
        self.seed = seed
        self.money: Money = money
        self._random = random.Random(seed)
        self.hidden = Hidden(scenario, self._random)
        self.number = 0
        self.queue = 0
        self.last_latency_ms = 0.2 * scenario.sla_ms
        self.done = False
        self.bankrupt = False
        self.steps: list[Step] = []
        self._float_left = scenario.budget_usd
        self._nano_left = nearest(scenario.budget_usd)
        self._outcomes: list[deque[float]] = [deque(maxlen=scenario.window) for _ in scenario.providers]

    @property
    def left_usd(self) -> float:
        """Money left, in USD."""
        return self._nano_left / NANO_PER_USD if self.money == "exact" else self._float_left

    def status(self) -> tuple[float, ...]:
        """Return the mean of each provider's last outcomes; exactly .5 if it was never called."""
        return tuple(sum(seen) / len(seen) if seen else 0.5 for seen in self._outcomes)

    def observation(self) -> tuple[float, ...]:
        """Return what an agent sees: status of each provider, budget, queue, last latency, step; all in [0, 1]."""
        s = self.scenario
        return (
            *self.status(),
            self.left_usd / s.budget_usd,
            self.queue / s.queue_cap,
            min(1.0, max(0.0, self.last_latency_ms / s.sla_ms)),
            self.number / s.horizon,
        )

    def step(self, action: int) -> float:
        """Take an action (a provider's index, or ``scenario.shed``) and return the reward.

        A finished episode stays as it is, at reward 0.
        """
        s = self.scenario
        if not 0 <= action <= s.shed:
            raise ValueError(f"action {action} is not one of 0..{s.shed}")
        if self.done:
            return 0.0
        self.number += 1
        status = self.status()
        self.hidden.move(self.number)
        if action == s.shed:
            self.queue = max(0, self.queue - 1)
            self.last_latency_ms = 0.0
            return self._record(Step(self.number, action, False, False, 0.0, 0.0, SHED_REWARD, status=status))
        provider = s.providers[action]
        if not self._pay(provider.cost_usd):
            self.bankrupt = True
            self.last_latency_ms = 0.0
            broke = (provider.cost_usd, 0.0, BANKRUPT_REWARD, True)
            return self._record(Step(self.number, action, True, False, *broke, status=status))
        success = self._random.random() < self.hidden.health[action]
        noise = self._random.gauss(0.0, s.noise_ms)
        amplifier = 1 + 0.5 * self.queue / s.queue_cap
        overflow = not success and self.queue + 2 > s.queue_cap
        if success:
            latency = max(10.0, (provider.latency_ms + noise) * amplifier)
            self.queue = max(0, self.queue - 1)
        else:
            latency = (provider.latency_ms + abs(noise) + 200) * amplifier
            self.queue = min(s.queue_cap, self.queue + 2)
        self._outcomes[action].append(1.0 if success else 0.0)
        self.last_latency_ms = latency
        reward = (1.0 if success else -2.0) - 5.0 * provider.cost_usd / s.budget_usd
        reward -= max(0.0, latency - s.sla_ms) / s.sla_ms
        routed = (provider.cost_usd, round(latency, 2), reward, False, overflow)
        return self._record(Step(self.number, action, True, success, *routed, status))

    def _pay(self, cost_usd: float) -> bool:
        """Take the price; return whether money is left after it."""
        self._float_left -= cost_usd
        self._nano_left -= nearest(cost_usd)
        broke = self._nano_left <= 0 if self.money == "exact" else self._float_left <= 0
        if broke:
            self._float_left, self._nano_left = 0.0, 0
        return not broke

    def _record(self, step: Step) -> float:
        self.steps.append(step)
        self.done = self.bankrupt or self.number >= self.scenario.horizon
        return step.reward
