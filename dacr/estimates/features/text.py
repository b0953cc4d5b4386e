"""Text features: hashed word and word-pair counts -> TF-IDF -> truncated SVD -> unit length.

The counts do not depend on any split, so they are made once for a benchmark (and cached); document
frequencies and the SVD are fitted on training questions alone. Reference: latent semantic analysis,
Deerwester et al. 1990, doi:10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from dacr.core.rng import seed_for
from dacr.estimates.features.hashing import murmur3

# scikit-learn, which fits the SVD, is imported where it is used: it takes most of a second, and features are mostly
# given or cached.
if TYPE_CHECKING:
    from scipy import sparse

N_BUCKET = 2**18
_CHUNK = 4096
_CHUNKS_WORTH_PROCESSES = 32
_MAX_CHARS = 4000
_WORD = re.compile(r"\b\w+\b")


def hashed_counts(questions: Sequence[str], n_jobs: int = 1) -> sparse.csr_matrix:
    """Count words and word pairs of each question into ``2**18`` hash buckets.

    Returns
    -------
    (n, 2**18) sparse float32. The same for any ``n_jobs``: each question is counted by itself.
    """
    from scipy import sparse

    chunks = [list(questions[i : i + _CHUNK]) for i in range(0, len(questions), _CHUNK)]
    if n_jobs == 1 or len(chunks) < _CHUNKS_WORTH_PROCESSES:
        parts = [_count(chunk) for chunk in chunks]
    else:
        parts = Parallel(n_jobs=n_jobs)(delayed(_count)(chunk) for chunk in chunks)
    return sparse.vstack(parts, format="csr")


def _count(questions: list[str]) -> sparse.csr_matrix:
    from scipy import sparse

    number: dict[str, int] = {}
    terms: list[int] = []
    ends = [0]
    for question in questions:
        words = _WORD.findall(question[-_MAX_CHARS:].lower())
        terms += [number.setdefault(term, len(number)) for term in (*words, *map(" ".join, pairwise(words)))]
        ends.append(len(terms))
    # As scikit-learn's HashingVectorizer has it, which would be most of a second to import for a served prompt.
    bucket = np.abs(murmur3(list(number)).astype(np.int32).astype(np.int64)) % N_BUCKET
    column = bucket[np.array(terms, dtype=np.int64)]
    counts = sparse.csr_matrix((np.ones(len(terms), np.float32), column, ends), shape=(len(questions), N_BUCKET))
    counts.sum_duplicates()
    return counts


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

    def fit(self, counts: sparse.csr_matrix) -> TextFeatures:
        """Fit document frequencies and the SVD on training counts ``(n_train, n_bucket)``."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.utils.sparsefuncs import mean_variance_axis

        frequency = np.asarray(counts.getnnz(axis=0))
        kept = np.flatnonzero(frequency >= min(self.min_df, max(1, counts.shape[0] // 20)))
        if len(kept) > self.max_term:
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[: self.max_term]])
        self.terms_ = kept
        self.components_ = None  # stays where questions have no words, or the same ones: nothing to tell them apart
        if len(kept) < 2:
            return self
        self.idf_ = np.log(np.float32(1 + counts.shape[0]) / (1 + frequency[kept]).astype(np.float32)) + np.float32(1)
        rows = self._weighted(counts)
        if rows.shape[0] > self.max_row:
            draw = np.random.default_rng(seed_for("svd rows")).permutation(rows.shape[0])[: self.max_row]
            rows = rows[np.sort(draw)]
        n_component = max(1, min(self.n_component, rows.shape[0] - 1, len(kept) - 1))
        if not mean_variance_axis(rows, axis=0)[1].any():
            return self
        svd = TruncatedSVD(n_component, n_iter=3, random_state=seed_for("svd") % 2**32).fit(rows)
        self.components_ = svd.components_
        return self

    def transform(self, counts: sparse.csr_matrix) -> NDArray[np.float32]:
        """Return ``(n, n_component)`` float32 rows of unit length (zero where no term is known)."""
        if self.components_ is None:
            return np.zeros((counts.shape[0], 1), dtype=np.float32)
        rows = self._weighted(counts) @ self.components_.T
        norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        return rows / np.where(norm < 10 * np.finfo(norm.dtype).eps, 1, norm)[:, None]

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return rows of unit length of (1 + log count) (1 + log((1 + n) / (1 + n with the term))), the kept terms'."""
        rows = counts[:, self.terms_]
        weight = (np.log(rows.data) + np.float32(1)) * self.idf_[rows.indices]
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        norm = np.sqrt(np.bincount(row, weights=weight * weight, minlength=rows.shape[0]))
        rows.data = (weight / norm[row]).astype(np.float32)
        return rows
