"""Text features: hashed word and word-pair counts -> TF-IDF -> truncated SVD -> unit length.

The counts do not depend on any split, so they are made once for a benchmark (and cached); document
frequencies and the SVD are fitted on training questions alone. Reference: latent semantic analysis,
Deerwester et al. 1990, doi:10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.rng import generator, seed_for
from dacr.estimates.features.hashing import murmur3
from dacr.estimates.features.words import Words, in_blocks
from dacr.types import Ints

# scikit-learn, which fits the SVD, is imported where it is used: it takes most of a second, and features are mostly
# given or cached.
if TYPE_CHECKING:
    from scipy import sparse


N_BUCKET = 2**18


def hashed_counts(questions: Sequence[str]) -> sparse.csr_matrix:
    """Count words and word pairs of each question into ``2**18`` hash buckets: (n, 2**18) sparse float32."""
    from scipy import sparse

    return sparse.vstack([counts_of(words) for words in in_blocks(questions)], format="csr")


def counts_of(words: Words) -> sparse.csr_matrix:
    """Count the words, and the pairs of them, that texts have been cut into; as :func:`hashed_counts`."""
    from scipy import sparse

    text = np.repeat(np.arange(len(words)), np.diff(words.start))
    same = text[1:] == text[:-1]
    base = len(words.distinct)
    number, pairs = pd.factorize((words.code[:-1] * base + words.code[1:])[same])
    named = zip(*(part.tolist() for part in np.divmod(pairs, base)), strict=True)
    of_pair = _buckets([f"{words.distinct[a]} {words.distinct[b]}" for a, b in named])
    where = np.append(text, text[1:][same]), np.append(_buckets(words.distinct)[words.code], of_pair[number])
    counts = sparse.coo_matrix((np.ones(len(where[0]), np.float32), where), shape=(len(words), N_BUCKET))
    return counts.tocsr()


def compact(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the same counts in as few bytes as hold them: those of all questions are in memory at once."""
    from scipy import sparse

    few = np.min_scalar_type(int(counts.data.max(initial=0)))
    # Copies: where counts were summed, buckets are the first part of a longer array.
    return sparse.csr_matrix((counts.data.astype(few), counts.indices.copy(), counts.indptr), shape=counts.shape)


def _buckets(terms: list[str]) -> Ints:
    # As scikit-learn's HashingVectorizer has it, which would be most of a second to import for a served prompt.
    return np.abs(murmur3(terms).astype(np.int32).astype(np.int64)) % N_BUCKET


class TextFeatures:
    """TF-IDF and SVD, fitted on the counts of training questions.

    Parameters
    ----------
    n_component : int
        Columns of the result; fewer where the training part has fewer questions.
    max_term : int
        Terms kept: the most frequent of those that occur in at least ``min_df`` training questions.
    max_row : int
        The SVD is fitted on a seeded subsample of at most this many rows; all rows are projected.
    """

    def __init__(
        self, *, n_component: int = 64, max_term: int = 40_000, min_df: int = 3, max_row: int = 12_000
    ) -> None:
        self.n_component = n_component
        self.max_term = max_term
        self.min_df = min_df
        self.max_row = max_row

    def fit(self, counts: sparse.csr_matrix | Sequence[sparse.csr_matrix], train: Ints | None = None) -> TextFeatures:
        """Fit document frequencies and the SVD on the rows ``train`` of counts ``(n, n_bucket)``, by default on all."""
        from scipy import sparse
        from sklearn.decomposition import TruncatedSVD
        from sklearn.utils.sparsefuncs import mean_variance_axis

        blocks = _blocks(counts)
        start = np.cumsum([0, *(block.shape[0] for block in blocks)])
        own = np.arange(start[-1]) if train is None else np.sort(train)

        def of_blocks(rows: Ints) -> Iterator[sparse.csr_matrix]:
            for block, begin, end in zip(blocks, start[:-1], start[1:], strict=True):
                yield block[rows[(rows >= begin) & (rows < end)] - begin]

        frequency = sum((block.getnnz(axis=0) for block in of_blocks(own)), np.zeros(blocks[0].shape[1], np.int64))
        kept = np.flatnonzero(frequency >= min(self.min_df, max(1, len(own) // 20)))
        if len(kept) > self.max_term:
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[: self.max_term]])
        self.terms_ = kept
        self.components_ = None  # stays where questions have no words, or the same ones: nothing to tell them apart
        if len(kept) < 2:
            return self
        self.idf_ = np.log(np.float32(1 + len(own)) / (1 + frequency[kept]).astype(np.float32)) + np.float32(1)
        if len(own) > self.max_row:
            draw = generator("svd rows").permutation(len(own))[: self.max_row]
            own = own[np.sort(draw)]
        rows = self._weighted(sparse.vstack(list(of_blocks(own)), format="csr"))
        n_component = max(1, min(self.n_component, rows.shape[0] - 1, len(kept) - 1))
        if not mean_variance_axis(rows, axis=0)[1].any():
            return self
        svd = TruncatedSVD(n_component, n_iter=3, random_state=seed_for("svd") % 2**32).fit(rows)
        self.components_ = svd.components_
        return self

    def transform(self, counts: sparse.csr_matrix | Sequence[sparse.csr_matrix]) -> NDArray[np.float32]:
        """Return ``(n, n_component)`` float32 rows of unit length (zero where no term is known)."""
        blocks = _blocks(counts)
        if self.components_ is None:
            return np.zeros((sum(block.shape[0] for block in blocks), 1), dtype=np.float32)
        rows: Any = np.empty((sum(block.shape[0] for block in blocks), len(self.components_)), self.components_.dtype)
        done = 0
        for block in blocks:
            rows[done : done + block.shape[0]] = self._weighted(block) @ self.components_.T
            done += block.shape[0]
        norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows /= np.where(norm < 10 * np.finfo(norm.dtype).eps, 1, norm)[:, None]
        return rows

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return rows of unit length of (1 + log count) (1 + log((1 + n) / (1 + n with the term))), the kept terms'."""
        rows = counts[:, self.terms_]
        weight = (np.log(rows.data.astype(np.float32)) + np.float32(1)) * self.idf_[rows.indices]
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        norm = np.sqrt(np.bincount(row, weights=weight * weight, minlength=rows.shape[0]))
        rows.data = (weight / norm[row]).astype(np.float32)
        return rows


def _blocks(counts: sparse.csr_matrix | Sequence[sparse.csr_matrix]) -> Sequence[sparse.csr_matrix]:
    from scipy import sparse

    return [counts] if sparse.issparse(counts) else counts
