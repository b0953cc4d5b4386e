"""Slots of the sample's templates: each takes its own column of a query's uniforms.

So a query has the same text in whatever chunk it is made. A word is hard with a chance that grows with
the visible difficulty.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dacr.data.sample import words as w
from dacr.types import Floats

Texts = NDArray[np.object_]
N_DRAWS = 128


@dataclass
class Slots:
    """Takes the uniforms of a group of queries one column at a time."""

    uniform: Floats
    visible: Floats
    kind: NDArray[np.int64]
    used: int = 0
    hard_chance: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.hard_chance = 1.0 / (1.0 + np.exp(0.5 - 1.7 * self.visible))

    def draw(self) -> Floats:
        """Return the next column."""
        self.used += 1
        column: Floats = self.uniform[:, self.used - 1]
        return column

    def pick(self, options: Texts) -> Texts:
        """Return one of ``options`` per query."""
        chosen: Texts = options[(self.draw() * len(options)).astype(np.int64)]
        return chosen

    def mixed(self, easy: Texts, hard: Texts) -> Texts:
        """Return an easy or a hard word per query."""
        mixed: Texts = np.where(self.draw() < self.hard_chance, self.pick(hard), self.pick(easy))
        return mixed

    def number(self, low: int, high: int) -> NDArray[np.int64]:
        """Return a whole number in [low, high] per query."""
        return low + (self.draw() * (high - low + 1)).astype(np.int64)

    def by_kind(self, options: tuple[Texts, ...]) -> Texts:
        """Return one of the options of each query's kind."""
        table = np.stack([np.resize(row, max(map(len, options))) for row in options])
        chosen: Texts = table[self.kind, (self.draw() * table.shape[1]).astype(np.int64)]
        return chosen


@dataclass(frozen=True)
class Prompts:
    """Questions of one domain and their right answers (a letter's index, a number, or -1)."""

    text: list[str]
    answer: NDArray[np.int64]


def clause(s: Slots, nouns: Texts) -> list[str]:
    """Write one clause about two nouns, without its first letter (a capital or a small t)."""
    parts = zip(
        s.mixed(w.EASY, w.HARD),
        s.pick(nouns),
        s.mixed(w.EASY_VERB, w.HARD_VERB),
        s.pick(nouns),
        s.mixed(w.EASY_TAIL, w.HARD_TAIL),
        strict=True,
    )
    return [f"he {a} {n} {v} the {m} {t}" for a, n, v, m, t in parts]


def context(s: Slots, nouns: Texts, least: float, most: int) -> list[str]:
    """Write up to ``most`` sentences; hard questions have more of them."""
    clauses = [clause(s, nouns) for _ in range(most)]
    count = np.clip(np.round(least + 0.7 * s.visible + 2.2 * (s.draw() - 0.5)), 0, most).astype(int)
    return ["".join(f"T{c}. " for c in row[:k]) for k, *row in zip(count.tolist(), *clauses, strict=True)]
