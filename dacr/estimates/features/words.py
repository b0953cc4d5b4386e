"""Words of many texts, cut once: what text features count and what near-duplicates are compared by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dacr.types import Ints

MAX_CHARS = 4000
"""Of a longer text the last characters are read."""

BLOCK = 16_384
"""Texts whose words are in memory at once."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Words:
    """Words of texts, each distinct one numbered.

    Attributes
    ----------
    code : (n_word,) int
        Number of each word of each text, text after text.
    start : (n_text + 1,) int
        Where the words of each text begin; the last one is where they end.
    distinct : list of str
        The word of each number, in lower case.
    """

    code: Ints
    start: Ints
    distinct: list[str]

    def __len__(self) -> int:
        return len(self.start) - 1


def in_blocks(texts: Sequence[str]) -> Iterator[Words]:
    """Yield the words of so many texts at a time, and once at least: what is made of them on the way stays small."""
    for begin in range(0, max(len(texts), 1), BLOCK):
        yield words_of(texts[begin : begin + BLOCK])


def words_of(texts: Sequence[str]) -> Words:
    """Cut texts into words: runs of letters, digits and underscores.

    Examples
    --------
    >>> words = words_of(["Two and two", "two?"])
    >>> words.distinct, words.code.tolist(), words.start.tolist()
    (['two', 'and'], [0, 1, 0, 0], [0, 3, 4])
    """
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__  # a new word gets the next number
    codes: list[int] = []
    start = [0]
    for text in texts:
        codes += map(number.__getitem__, _WORD.findall(text[-MAX_CHARS:].lower()))
        start.append(len(codes))
    return Words(np.array(codes, dtype=np.int64), np.array(start, dtype=np.int64), list(number))
