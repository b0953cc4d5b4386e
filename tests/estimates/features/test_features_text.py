"""Text features and response cues: shapes, hand-counted values, nothing of the test part in the fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dacr.core.rng import generator, seed_for
from dacr.estimates.features import words
from dacr.estimates.features.cues import NAMES, response_cues
from dacr.estimates.features.hashing import murmur3
from dacr.estimates.features.text import TextFeatures, compact, hashed_counts

WORDS = np.array(
    ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "rowan", "willow", "yew"]
)


def texts(n: int) -> list[str]:
    return [" ".join(row) for row in WORDS[generator("texts").integers(0, len(WORDS), (n, 8))]]


def test_counts_are_words_and_pairs_whatever_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = hashed_counts(["one two two", "ONE"])
    assert counts.shape[0] == 2 and counts.sum(axis=1).ravel().tolist() == [[5.0, 1.0]]  # 3 words + 2 pairs
    many = [*texts(300), ""]
    whole = hashed_counts(many)
    monkeypatch.setattr(words, "BLOCK", 7)
    assert (hashed_counts(many) != whole).nnz == 0
    assert hashed_counts([]).shape == (0, 2**18)


def test_only_the_end_of_a_very_long_question_is_read() -> None:
    end = "the real question is here " * 200
    assert (hashed_counts(["x" * 9000 + end]) != hashed_counts(["y" * 99_000 + end])).nnz == 0


def test_rows_have_unit_length_and_unknown_words_give_zero() -> None:
    counts = hashed_counts(texts(300))
    features = TextFeatures(n_component=8).fit(counts)
    rows = features.transform(counts)
    assert rows.shape == (300, 8) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert (features.transform(hashed_counts(["zzz qqq"])) == 0).all()


def test_a_row_depends_on_its_own_text_and_the_training_part_alone() -> None:
    counts = hashed_counts(texts(200))
    features = TextFeatures(n_component=4).fit(counts[:150])
    whole = features.transform(counts)
    np.testing.assert_allclose(whole[170:180], features.transform(counts[170:180]), atol=1e-6)
    again = TextFeatures(n_component=4).fit(counts[:150]).transform(counts)
    assert (whole == again).all()


def test_compact_counts_are_the_same_and_so_are_rows() -> None:
    counts = hashed_counts([*texts(200), ""])
    small = compact(counts)
    assert small.data.dtype == np.uint8 and (small != counts).nnz == 0
    own, other = (TextFeatures(n_component=4).fit(one).transform(one) for one in (small, counts))
    assert own.tobytes() == other.tobytes()
    assert compact(hashed_counts(["a " * 300])).data.max() == 300 and compact(counts[:0]).nnz == 0


def test_cues_by_hand() -> None:
    responses = ["", "B", "(C) since 12 > 3", "```python\nx = 1\n```", "I'm unable to say.", "I can sing."]
    cues = response_cues(pa.array(responses), n_model=2)
    assert cues.shape == (3, 2, len(NAMES)) and cues.dtype == np.float32
    by_name = dict(zip(NAMES, cues.reshape(6, -1).T, strict=True))
    assert by_name["empty"].tolist() == [1, 0, 0, 0, 0, 0]
    assert by_name["starts_with_letter"].tolist() == [0, 1, 1, 0, 0, 0]
    assert by_name["has_digit"].tolist() == [0, 0, 1, 1, 0, 0]
    assert by_name["has_code"].tolist() == [0, 0, 0, 1, 0, 0]
    assert by_name["refuses"].tolist() == [0, 0, 0, 0, 1, 0]
    np.testing.assert_allclose(by_name["log_chars"], np.log1p([len(text) for text in responses]), rtol=1e-6)
    np.testing.assert_allclose(by_name["log_words"], np.log1p([0, 1, 5, 5, 4, 3]), rtol=1e-6)
    np.testing.assert_allclose(by_name["length_share"], [len(text) / 4000 for text in responses], rtol=1e-6)


def test_hashes_are_the_published_ones() -> None:
    known = {"": 0, "test": 0xBA6BD213, "Hello, world!": 0xC0363E43}
    known["The quick brown fox jumps over the lazy dog"] = 0x2E4FF723
    assert dict(zip(known, murmur3(list(known)).tolist(), strict=True)) == known


def test_counts_and_rows_are_those_of_scikit_learn_to_the_last_bit() -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.preprocessing import normalize

    questions = [*texts(200), "", "Żółw? 漢字, and\nmore", "a" * 100, "One one ONE."]
    how = {"ngram_range": (1, 2), "n_features": 2**18, "alternate_sign": False, "norm": None, "dtype": np.float32}
    counts = HashingVectorizer(token_pattern=r"(?u)\b\w+\b", **how).transform(questions)
    own = hashed_counts(questions)
    assert (own.indices == counts.indices).all() and (own.data == counts.data).all()
    assert (own.indptr == counts.indptr).all()
    features = TextFeatures(n_component=8).fit(counts[:150])
    kept = counts[:, features.terms_]
    weights = TfidfTransformer(sublinear_tf=True).fit(kept[:150])
    svd = TruncatedSVD(8, n_iter=3, random_state=seed_for("svd") % 2**32).fit(weights.transform(kept[:150]))
    assert (features.transform(counts) == normalize(svd.transform(weights.transform(kept)))).all()
