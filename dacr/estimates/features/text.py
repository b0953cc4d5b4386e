"""Text features: hashed word and word-pair counts -> TF-IDF -> truncated SVD -> unit length.

The counts do not depend on any split, so they are made once for a benchmark (and cached); document
frequencies and the SVD are fitted on training questions alone. Reference: latent semantic analysis,
Deerwester et al. 1990, doi:10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from dacr.core.rng import seed_for

# scikit-learn is imported where it is used: it takes most of a second, and features are mostly given or cached.
if TYPE_CHECKING:
    from scipy import sparse

_BUCKETS = 2**18
_CHUNK = 4096
_MAX_CHARS = 4000


def hashed_counts(questions: Sequence[str], n_jobs: int = 1) -> sparse.csr_matrix:
    """Count words and word pairs of each question into ``2**18`` hash buckets.

    Returns
    -------
    (n, 2**18) sparse float32. The same for any ``n_jobs``: each question is counted by itself.
    """
    from scipy import sparse

    chunks = [list(questions[i : i + _CHUNK]) for i in range(0, len(questions), _CHUNK)]
    if n_jobs == 1 or len(chunks) == 1:
        parts = [_count(chunk) for chunk in chunks]
    else:
        parts = Parallel(n_jobs=n_jobs)(delayed(_count)(chunk) for chunk in chunks)
    return sparse.vstack(parts, format="csr")


def _count(questions: list[str]) -> sparse.csr_matrix:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        ngram_range=(1, 2),
        n_features=_BUCKETS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        token_pattern=r"(?u)\b\w+\b",
    )
    return vectorizer.transform([question[-_MAX_CHARS:] for question in questions])


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
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.utils.sparsefuncs import mean_variance_axis

        frequency = np.asarray(counts.getnnz(axis=0))
        kept = np.flatnonzero(frequency >= min(self.min_df, max(1, counts.shape[0] // 20)))
        if len(kept) > self.max_term:
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[: self.max_term]])
        self.terms_ = kept
        self.svd_ = None  # stays where questions have no words, or the same ones: nothing to tell them apart
        if len(kept) < 2:
            return self
        self.tfidf_ = TfidfTransformer(sublinear_tf=True).fit(counts[:, kept])
        rows = self.tfidf_.transform(counts[:, kept])
        if rows.shape[0] > self.max_row:
            draw = np.random.default_rng(seed_for("svd rows")).permutation(rows.shape[0])[: self.max_row]
            rows = rows[np.sort(draw)]
        n_component = max(1, min(self.n_component, rows.shape[0] - 1, len(kept) - 1))
        if not mean_variance_axis(rows, axis=0)[1].any():
            return self
        self.svd_ = TruncatedSVD(n_component, n_iter=3, random_state=seed_for("svd") % 2**32).fit(rows)
        return self

    def transform(self, counts: sparse.csr_matrix) -> NDArray[np.float32]:
        """Return ``(n, n_component)`` float32 rows of unit length (zero where no term is known)."""
        from sklearn.preprocessing import normalize

        if self.svd_ is None:
            return np.zeros((counts.shape[0], 1), dtype=np.float32)
        rows = self.svd_.transform(self.tfidf_.transform(counts[:, self.terms_]))
        return normalize(rows).astype(np.float32)
