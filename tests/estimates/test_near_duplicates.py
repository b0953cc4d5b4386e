"""MinHash signatures of many texts at once are those of each text alone, by the definition."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.rng import keys_of
from dacr.estimates.features import near_duplicates

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
    words = re.findall(r"\w+", text.lower())
    shingles = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
    keys = keys_of(sorted(shingles))
    return np.array([near_duplicates._scatter(keys, j).min() for j in range(near_duplicates.N_HASH)])


@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text("ab c,", max_size=12)), max_size=8))
@settings(deadline=None, max_examples=60)
def test_signatures_follow_the_definition(texts: list[str]) -> None:
    found = near_duplicates._signatures(texts)
    assert found.shape == (len(texts), near_duplicates.N_HASH)
    for row, text in zip(found, texts, strict=True):
        np.testing.assert_array_equal(row, by_definition(text))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = near_duplicates._signatures(TEXTS)
    monkeypatch.setattr(near_duplicates, "BLOCK", 3)
    np.testing.assert_array_equal(near_duplicates._signatures(TEXTS), whole)
