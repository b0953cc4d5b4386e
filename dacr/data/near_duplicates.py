"""Test prompts that training has already seen, almost word for word: MinHash over shingles of words."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dacr.rng import keys_of, seed_for
from dacr.types import Floats, Ints

SHINGLE = 3
N_HASH = 64
BAND = 4
PER_BUCKET = 8
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


def _signatures(texts: list[str]) -> NDArray[np.uint64]:
    """MinHash of every text: (n, N_HASH)."""
    pieces = [_shingles(text) for text in texts]
    if not pieces:
        return np.empty((0, N_HASH), dtype=np.uint64)
    sizes = np.array([len(piece) for piece in pieces])
    starts = np.cumsum(sizes) - sizes
    distinct: dict[str, int] = {}
    code = np.array([distinct.setdefault(s, len(distinct)) for piece in pieces for s in piece])
    keys = keys_of(distinct)
    out = np.empty((len(texts), N_HASH), dtype=np.uint64)
    for j in range(N_HASH):
        out[:, j] = np.minimum.reduceat(_scatter(keys, j)[code], starts)
    return out


def _scatter(keys: NDArray[np.uint64], j: int) -> NDArray[np.uint64]:
    """Hash number ``j`` of every key. Anything weaker than a full mix biases the similarity."""
    with np.errstate(over="ignore"):
        mixed = keys ^ np.uint64(seed_for("minhash", j))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _shingles(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


def _band(signatures: NDArray[np.uint64], start: int) -> NDArray[np.uint64]:
    mixed = np.zeros(len(signatures), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for j in range(start, start + BAND):
            mixed = (mixed ^ signatures[:, j]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
    return mixed
