"""A model that keeps failing is left alone for a while, so that not every request pays for it again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CooldownRule:
    """When to leave a model alone: ``failures`` within the window, or more than ``share`` of ``least_calls``.

    Attributes
    ----------
    rest_s, window_s : float, seconds
    """

    rest_s: float = 5.0
    window_s: float = 60.0
    failures: int = 3
    share: float = 0.5
    least_calls: int = 5


@dataclass
class Cooldown:
    """Watches calls and says which models rest. Refusals and invalid answers are no failures of a server."""

    rule: CooldownRule
    clock: Callable[[], float] = time.monotonic
    _calls: dict[str, deque[tuple[float, bool]]] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def rests(self, model: str) -> bool:
        """Say whether ``model`` is to be left alone now."""
        return self.clock() < self._until.get(model, float("-inf"))

    def book(self, model: str, failed: bool) -> None:
        """Book a finished call."""
        now = self.clock()
        calls = self._calls.setdefault(model, deque())
        calls.append((now, failed))
        while calls and calls[0][0] < now - self.rule.window_s:
            calls.popleft()
        bad = sum(one for _, one in calls)
        many = bad >= self.rule.failures
        most = len(calls) >= self.rule.least_calls and bad > self.rule.share * len(calls)
        if failed and (many or most):
            self._until[model] = now + self.rule.rest_s
            calls.clear()
