"""Groups in which calibration is measured: all rows, every domain, every family of several domains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dacr.data.schema import family_of
from dacr.types import Floats, Ints

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
    def of(cls, domain: np.ndarray) -> Groups:
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
