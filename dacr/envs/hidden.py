"""What no agent sees: the reliability of each provider, and when it starts to fall."""

from __future__ import annotations

import random

from dacr.envs.scenarios import Scenario

FLOOR = 0.05
_NOISE = 0.02


class Hidden:
    """Reliabilities of an episode.

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
        self.health[target] = max(FLOOR, self.health[target] - (rate + self._rng.gauss(0.0, _NOISE)))

    def _flap(self, number: int) -> None:
        v = self._scenario.variant
        assert v is not None
        for i, target in enumerate(self.targets):
            while number >= self._turns[i]:
                self._down[i] = not self._down[i]
                self._turns[i] += self._rng.randint(*(v.down if self._down[i] else v.up))
            self.health[target] = v.down_health if self._down[i] else self._scenario.reliability[target]
