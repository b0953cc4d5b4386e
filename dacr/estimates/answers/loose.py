r"""Loose answers: free texts and programs that say nearly the same, by the cosine of their TF-IDF vectors.

Each text x gets the signs of random projections of its vector, of which two texts differ in a share of angle / pi
in expectation (Charikar 2002, doi:10.1145/509907.509965), and a code of 62 bits: these signs, and in how many of them
two texts may differ,

.. math:: d = \lfloor n \arccos(\text{cosine}) / \pi \rfloor .

So a code depends on its own text, and on the weights of words, which come from training rows. With n = 56 a cosine of
.8 is told to within .1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dacr.core.rng import generator, seed_for
from dacr.estimates.features.words import words_of
from dacr.types import Bools, Floats, Ints

N_SIGN, N_SLOT = 56, 2**12
_SIGNS = (1 << N_SIGN) - 1


@dataclass(frozen=True)
class Loose:
    """How alike two texts have to be, and the rows of the table that the weights of words are taken from.

    Attributes
    ----------
    cosine : float in (0, 1]
    train : (n,) int
    """

    cosine: float
    train: Ints


def codes_of(texts: list[str], known: Bools, cosine: float) -> Ints:
    """Return the codes of texts, all below -1: (n,).

    Parameters
    ----------
    known : (n,) bool
        Texts of training, in which words that are in many texts count for less.
    """
    words = words_of(texts)
    slot = np.array([seed_for("loose word", word) % N_SLOT for word in words.distinct], dtype=np.int64)[words.code]
    row = np.repeat(np.arange(len(texts)), np.diff(words.start))
    cell, times = np.unique(row * N_SLOT + slot, return_counts=True)
    row, slot = np.divmod(cell, N_SLOT)
    n_with = np.bincount(slot[known[row]], minlength=N_SLOT)
    weight: Floats = (1 + np.log(times)) * (np.log((1 + known.sum()) / (1 + n_with)) + 1)[slot]
    plane, sums = generator("loose planes").normal(size=(N_SIGN, N_SLOT)), np.empty((N_SIGN, len(texts)))
    for out, own in zip(sums, plane, strict=True):
        out[:] = np.bincount(row, weight * own[slot], minlength=len(texts))
    sign = (sums > 0).T @ (np.int64(1) << np.arange(N_SIGN))
    most = int(N_SIGN * np.arccos(cosine) / np.pi)
    return np.asarray(-2 - ((np.int64(most) << N_SIGN) | sign), dtype=np.int64)


def alike(one: Ints, other: Ints) -> Bools:
    """Say where two codes are those of texts that are alike: (n,).

    Examples
    --------
    >>> texts = ["the cat sat on the mat", "on the mat sat the cat", "prices of a dollar"]
    >>> code = codes_of(texts, np.ones(3, dtype=bool), 0.8)
    >>> alike(code[[0, 0]], code[[1, 2]]).tolist()
    [True, False]
    """
    first, second = -2 - one, -2 - other
    apart = np.bitwise_count((first ^ second) & _SIGNS)
    return (one < -1) & (other < -1) & (apart <= np.minimum(first, second) >> N_SIGN)
