"""Sums by bin of predicted quality, and the groups (all rows, domains, families) that they are made and add up over.

Every calibration measure is made from these.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from dacr.data.schema import family_of
from dacr.types import Floats, Ints

N_BINS = 15

LOG_CLIP = 1e-12
"""Log-loss is that of p clipped to [LOG_CLIP, 1 - LOG_CLIP]."""

COUNT, PREDICTED, RESIDUAL, SQUARE, LOSS = range(5)
"""Rows of :func:`bin_sums`: 1, p, q - p, (q - p)^2 and log-loss."""


def bins_of(p: Floats) -> Ints:
    """Return the bin of each prediction, shaped as ``p``: bin k is [k / N_BINS, (k + 1) / N_BINS), 1 in the last."""
    return np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)


def bin_sums(p: Floats, q: Floats, group: Ints, n_group: int) -> Floats:
    """Return the sums of 1, p, q - p, (q - p)^2 and log-loss over each group's bins: (5, n_group, N_BINS).

    Those of a union of groups are the sum of theirs.

    Parameters
    ----------
    p, q, group : (n,)
        Predicted and observed quality, and a group 0 .. n_group - 1.
    """
    cell = group * N_BINS + bins_of(p)
    residual = q - p
    inside = np.clip(p, LOG_CLIP, 1 - LOG_CLIP)
    loss = -(q * np.log(inside) + (1 - q) * np.log1p(-inside))
    each = (None, p, residual, np.square(residual), loss)
    sums = np.stack([np.bincount(cell, weights=values, minlength=n_group * N_BINS) for values in each])
    return sums.astype(np.float64).reshape(5, n_group, N_BINS)


def moments(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return n, mean p, mean q - p and the sample variance of q - p (divisor n - 1) in each bin; 0 without rows.

    ``sums`` may be means over runs: (4 or more, ..., N_BINS).
    """
    n = sums[COUNT]
    some = np.where(n > 0, n, 1.0)
    gap = sums[RESIDUAL] / some
    left = np.maximum(sums[SQUARE] - n * np.square(gap), 0.0)
    return n, sums[PREDICTED] / some, gap, np.where(n > 1, left / np.where(n > 1, n - 1, 1.0), 0.0)


def filled_variance(n: Floats, sample: Floats, mean_p: Floats) -> Floats:
    """Return the variance of each bin, (..., N_BINS); one row borrows that of the other bins, else p (1 - p)."""
    degrees = np.maximum(n - 1, 0.0)
    known = np.where(n > 1, sample, 0.0)
    total = degrees.sum(axis=-1, keepdims=True)
    pooled = (degrees * known).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1.0)
    borrowed = np.where(total > 0, pooled, mean_p * (1 - mean_p))
    return np.where(n > 1, known, np.where(n > 0, borrowed, 0.0))


ALL = "all"


@dataclass(frozen=True)
class Groups:
    """Groups of queries by domain.

    Attributes
    ----------
    names : tuple of str
        ``all``, the domains, and ``family:NAME`` for each family of several domains.
    levels : tuple of (n,) int
        The groups of each query: in all, in its domain, in its family (-1: in none).
    members : (n_group, n_domain) float
        1 where a domain (in the order of ``domain``) is part of a group.
    domain : (n,) int
        Each query's domain, 0 .. n_domain - 1.
    """

    names: tuple[str, ...]
    levels: tuple[Ints, ...]
    members: Floats
    domain: Ints

    @classmethod
    def of(cls, domain: np.ndarray) -> Self:
        """Group queries by the names of their domains: (n,)."""
        names, code = np.unique(domain.astype(str), return_inverse=True)
        family = np.array([family_of(str(name)) for name in names], dtype=object)
        sizes = pd.Series(family).value_counts()
        several = sorted(sizes.index[sizes > 1])
        n_domain = len(names)
        members = np.zeros((1 + n_domain + len(several), n_domain))
        members[0] = 1.0
        members[1 : 1 + n_domain] = np.eye(n_domain)
        place = np.full(n_domain, -1)
        for k, name in enumerate(several, start=1 + n_domain):
            members[k] = family == name
            place[family == name] = k
        levels = (np.zeros(len(code), dtype=np.int64), 1 + code.astype(np.int64), place[code])
        labels = (ALL, *map(str, names), *(f"family:{name}" for name in several))
        return cls(labels, levels, members, code.astype(np.int64))

    @property
    def families(self) -> list[int]:
        """Groups that are families: those of several domains, and domains that are a family of their own."""
        n_domain = self.members.shape[1]
        inside = self.members[1 + n_domain :].any(axis=0)
        return [*(1 + np.flatnonzero(~inside)).tolist(), *range(1 + n_domain, len(self.names))]
