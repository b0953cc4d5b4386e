"""Test questions that training has already seen, almost word for word: MinHash over shingles of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.rng import keys_of, mixed, seed_for
from dacr.estimates.features.words import Words, in_blocks
from dacr.types import Floats, Ints, Keys

SHINGLE = 3
N_HASH = 64
BAND = 4
PER_BUCKET = 8


def nearest_in_training(train: Sequence[str], test: Sequence[str]) -> tuple[Floats, Ints]:
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
    minima = [np.concatenate([signatures(words) for words in in_blocks(texts)]) for texts in (train, test)]
    return nearest(*minima)


def nearest(train: NDArray[np.uint32], test: NDArray[np.uint32]) -> tuple[Floats, Ints]:
    """Return the same of texts whose :func:`signatures` are known, ``(n, 64)`` each."""
    best = np.zeros(len(test))
    index = np.full(len(test), -1)
    for start in range(0, N_HASH, BAND):
        bucket = _band(train, start)
        order = np.argsort(bucket, kind="stable")
        wanted = _band(test, start)
        first = np.searchsorted(bucket[order], wanted, side="left")
        size = np.searchsorted(bucket[order], wanted, side="right") - first
        for step in range(min(PER_BUCKET, int(size.max(initial=0)))):
            rows = np.flatnonzero(size > step)
            other = order[first[rows] + step]
            alike = (train[other] == test[rows]).mean(axis=1)
            better = alike > best[rows]
            best[rows[better]] = alike[better]
            index[rows[better]] = other[better]
    return best, index


def signatures(words: Words) -> NDArray[np.uint32]:
    """MinHash of every text: (n_text, 64), of each minimum the upper half."""
    code, shingle, start = _shingles(words, keys_of(words.distinct))
    out = np.empty((len(words), N_HASH), dtype=np.uint32)
    for j in range(N_HASH):
        scattered = mixed(shingle ^ np.uint64(seed_for("minhash", j)))
        out[:, j] = np.minimum.reduceat(scattered[code], start) >> np.uint64(32) if len(words) else 0
    return out


def _shingles(words: Words, keys: Keys) -> tuple[Ints, Keys, Ints]:
    """Return the number of every shingle of every text, the key of each number, and where each text's shingles start.

    A text of fewer words than a shingle has is one shingle. Repeats stay: they change no minimum.
    """
    size = np.maximum(1, np.diff(words.start) - SHINGLE + 1)
    start = np.cumsum(size) - size
    own = np.repeat(np.arange(len(words)), size)
    at = np.arange(size.sum()) - start[own] + words.start[own]
    end = words.start[own + 1]
    word = np.append(keys[words.code], np.zeros(SHINGLE, dtype=np.uint64))
    key: Keys = np.zeros(len(at), dtype=np.uint64)
    for k in range(SHINGLE):
        key = mixed(key + np.where(at + k < end, word[at + k], np.uint64(0)))
    code, distinct = pd.factorize(key)
    return code, distinct, start


def _band(signature: NDArray[np.uint32], start: int) -> NDArray[np.uint64]:
    bucket = np.zeros(len(signature), dtype=np.uint64)
    for j in range(start, start + BAND):
        bucket = mixed(bucket ^ signature[:, j])
    return bucket
