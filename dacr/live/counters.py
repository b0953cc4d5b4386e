"""What each model of a chain has done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Count:
    """Attempts of one model: ``success``, ``fallback`` (failed, and a later one succeeded), ``error``."""

    success: int = 0
    fallback: int = 0
    error: int = 0

    @property
    def success_rate(self) -> float | None:
        """Share of attempts that succeeded; None before any."""
        total = self.success + self.fallback + self.error
        return self.success / total if total else None


class Counters:
    """Counts by model.

    Parameters
    ----------
    legacy : bool
        Count "fallback" for a failed attempt whenever another follows, even if the chain then fails.
    """

    def __init__(self, models: Sequence[str], legacy: bool = False) -> None:
        self.by_model = {name: Count() for name in models}
        self._legacy = legacy

    def book(self, tried: Sequence[str], succeeded: bool) -> None:
        """Book one finished chain: the models that were called, in order; the last one won or not."""
        for position, name in enumerate(tried):
            count = self.by_model.setdefault(name, Count())
            last = position == len(tried) - 1
            if last and succeeded:
                count.success += 1
            elif succeeded or (self._legacy and not last):
                count.fallback += 1
            else:
                count.error += 1

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return a copy that can be sent as JSON."""
        return {name: {**asdict(count), "success_rate": count.success_rate} for name, count in self.by_model.items()}
