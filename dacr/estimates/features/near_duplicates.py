"""Test prompts that training has already seen, almost word for word: MinHash over shingles of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.cache import Cache
from dacr.core.rng import keys_of, seed_for
from dacr.estimates.features.question import questions_of
from dacr.types import Floats, Ints, Keys

SHINGLE = 3
N_HASH = 64
BAND = 4
PER_BUCKET = 8
BLOCK = 16_384
"""Texts whose shingles are in memory at once."""
_WORD = re.compile(r"\w+")


def nearest_in_training(train: Iterable[str], test: Iterable[str]) -> tuple[Floats, Ints]:
    r"""Return, for each test text, its estimated similarity to the most similar training text.

    Similarity is the Jaccard index :math:`|A \cap B| / |A \cup B|` of the sets of three-word shingles, estimated
    from 64 minima of random hashes (standard error at most .0625). Candidates share at least one of 16 bands of
    4 minima; of a bucket with more than eight training texts eight are compared, so that templated benchmarks
    stay quick.

    Returns
    -------
    similarity : (n_test,) float in [0, 1]
        0 where no training text shares a band.
    index : (n_test,) int
        Which training text; -1 where none.

    References
    ----------
    Broder (1997), On the resemblance and containment of documents.

    Examples
    --------
    >>> similarity, index = nearest_in_training(["What is a prime?", "Name a colour."], ["what is a prime"])
    >>> float(similarity[0]), int(index[0])
    (1.0, 0)
    """
    a, b = _signatures(list(train)), _signatures(list(test))
    best = np.zeros(len(b))
    index = np.full(len(b), -1)
    for start in range(0, N_HASH, BAND):
        bucket = _band(a, start)
        order = np.argsort(bucket, kind="stable")
        wanted = _band(b, start)
        first = np.searchsorted(bucket[order], wanted, side="left")
        size = np.searchsorted(bucket[order], wanted, side="right") - first
        for step in range(min(PER_BUCKET, int(size.max(initial=0)))):
            rows = np.flatnonzero(size > step)
            other = order[first[rows] + step]
            alike = (a[other] == b[rows]).mean(axis=1)
            better = alike > best[rows]
            best[rows[better]] = alike[better]
            index[rows[better]] = other[better]
    return best, index


def nearest_questions(
    train_prompt: Iterable[str],
    test_prompt: Iterable[str],
    cache: Cache | None = None,
    cut: Callable[[], tuple[list[str], list[str]]] | None = None,
) -> tuple[Floats, Ints]:
    """Apply :func:`nearest_in_training` to the questions of prompts, without their few-shot prefaces.

    Parameters
    ----------
    cut : callable, optional
        Gives the questions of both, where somebody has cut them from the prompts already.
    """
    train, test = list(train_prompt), list(test_prompt)

    def compute() -> dict[str, NDArray[Any]]:
        similarity, index = nearest_in_training(*(cut() if cut else (questions_of(train), questions_of(test))))
        return {"similarity": similarity, "index": index}

    found = (cache or Cache(None)).get("near-duplicates", {"train": train, "test": test}, compute)
    return found["similarity"], found["index"]


def _signatures(texts: list[str]) -> NDArray[np.uint64]:
    """MinHash of every text: (n, N_HASH). Block by block, so that memory stays bounded."""
    out = np.empty((len(texts), N_HASH), dtype=np.uint64)
    for begin in range(0, len(texts), BLOCK):
        code, keys, starts = _shingles(texts[begin : begin + BLOCK])
        for j in range(N_HASH):
            out[begin : begin + BLOCK, j] = np.minimum.reduceat(_scatter(keys, j)[code], starts)
    return out


def _scatter(keys: NDArray[np.uint64], j: int) -> NDArray[np.uint64]:
    """Hash number ``j`` of every key. Anything weaker than a full mix biases the similarity."""
    with np.errstate(over="ignore"):
        mixed = keys ^ np.uint64(seed_for("minhash", j))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _shingles(texts: list[str]) -> tuple[Ints, Keys, Ints]:
    """Return the code of every shingle of every text, the key of each code, and where each text's codes start.

    A text of fewer words than a shingle has is one shingle. Repeats stay: they change no minimum.
    """
    found = [_WORD.findall(text.lower()) for text in texts]
    n_word = np.array([len(words) for words in found])
    distinct: dict[str, int] = {}
    word = np.array([distinct.setdefault(word, len(distinct)) for words in found for word in words], dtype=np.int64)
    size = np.maximum(1, n_word - SHINGLE + 1)
    starts = np.cumsum(size) - size
    first = np.cumsum(n_word) - n_word
    own = np.repeat(np.arange(len(texts)), size)
    at = np.arange(size.sum()) - starts[own] + first[own]
    end = (first + n_word)[own]
    absent, base = len(distinct), len(distinct) + 1
    padded = np.append(word, [absent] * SHINGLE)
    # Word by word a shingle becomes one number: the code of all but its last word, and its last word.
    code: Ints = np.zeros(len(at), dtype=np.int64)
    steps = []
    for k in range(SHINGLE):
        last = np.where(at + k < end, padded[at + k], absent)
        code, pairs = pd.factorize(code * base + last)
        steps.append(pairs)
    names = [*distinct, ""]
    here = np.arange(len(steps[-1]))
    words: list[list[str]] = []
    for pairs in reversed(steps):
        here, last = np.divmod(pairs[here], base)
        words.insert(0, [names[word] for word in last])
    return code, keys_of([" ".join(filter(None, parts)) for parts in zip(*words, strict=True)]), starts


def _band(signatures: NDArray[np.uint64], start: int) -> NDArray[np.uint64]:
    mixed = np.zeros(len(signatures), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for j in range(start, start + BAND):
            mixed = (mixed ^ signatures[:, j]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
    return mixed
