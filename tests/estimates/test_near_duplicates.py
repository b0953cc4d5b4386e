"""MinHash signatures of many texts at once are those of each text alone, by the definition."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.rng import keys_of, mixed, seed_for
from dacr.estimates.features import near_duplicates, words

TEXTS = [
    "",
    "one",
    "Two  words",
    "three words here",
    "a b c a b c a b c",
    "!?",
    "Ärger über_all 3 times, 3 times",
    "a b c",
]


def by_definition(text: str) -> np.ndarray:
    words = [*keys_of(re.findall(r"\w+", text.lower())), *np.zeros(3, np.uint64)]
    shingles = {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 5))}
    keys = np.zeros(len(shingles), np.uint64)
    for word in np.array(sorted(shingles), np.uint64).T:
        keys = mixed(keys + word)
    return np.array(
        [mixed(keys ^ np.uint64(seed_for("minhash", j))).min() for j in range(near_duplicates.N_HASH)]
    ) >> np.uint64(32)


@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text("ab c,", max_size=12)), max_size=8))
@settings(deadline=None, max_examples=60)
def test_signatures_follow_the_definition(texts: list[str]) -> None:
    found = near_duplicates.signatures(words.words_of(texts))
    assert found.shape == (len(texts), near_duplicates.N_HASH)
    for row, text in zip(found, texts, strict=True):
        np.testing.assert_array_equal(row, by_definition(text))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = near_duplicates.nearest_in_training(TEXTS, TEXTS[::-1])
    monkeypatch.setattr(words, "BLOCK", 3)
    for had, has in zip(whole, near_duplicates.nearest_in_training(TEXTS, TEXTS[::-1]), strict=True):
        np.testing.assert_array_equal(had, has)
