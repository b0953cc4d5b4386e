"""Families of domains as hold-outs: which are large enough, and what ``--ood_holdout`` must say to hold one out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from dacr.core.errors import UserError
from dacr.data.splits import EXACTLY


def sizes(family: Iterable[str]) -> dict[str, int]:
    """Return the number of queries of each family, given the family of every query."""
    names, count = np.unique(np.asarray(list(family), dtype=str), return_counts=True)
    return dict(zip(names.tolist(), count.tolist(), strict=True))


def by_size(size: Mapping[str, int], at_least: int) -> list[str]:
    """Return the families with so many queries, the largest first; of equals the first by name.

    Examples
    --------
    >>> by_size({"gsm": 30, "mbpp": 200, "arc": 30}, 30)
    ['mbpp', 'arc', 'gsm']
    """
    return sorted((name for name in size if size[name] >= at_least), key=lambda name: (-size[name], name))


def large_families(size: Mapping[str, int], at_least: int, flag: str) -> list[str]:
    """Return :func:`by_size` where every one of them can be held out.

    Parameters
    ----------
    flag : str
        The setting that ``at_least`` comes from, to be named in the error.

    Raises
    ------
    UserError
        No family is that large, or there is but one, so that none would be left to train on.
    """
    chosen = by_size(size, at_least)
    if len(size) < 2:
        raise UserError(f"all queries are of the family {next(iter(size))!r}, so that none is left to train on")
    if not chosen:
        largest = by_size(size, 0)[0]
        raise UserError(
            f"no family of domains can be held out: a family needs {at_least} queries ({flag}), the largest, "
            f"{largest!r}, has {size[largest]}"
        )
    return chosen


def hold_out(family: str, family_of: Mapping[str, str]) -> tuple[str, ...]:
    """Return what holds out the domains of one family and none other.

    A name holds out every domain that begins with it, so ``gsm`` takes ``gsm-hard`` too, which is a family of its own.
    Where that would happen each domain is named exactly.

    Parameters
    ----------
    family_of : mapping
        Domain -> its family, of all domains.

    Examples
    --------
    >>> hold_out("mmlu", {"mmlu-law": "mmlu", "mmlu-art": "mmlu", "mbpp": "mbpp"})
    ('mmlu',)
    >>> hold_out("gsm", {"gsm": "gsm", "gsm-hard": "gsm-hard", "mbpp": "mbpp"})
    ('=gsm',)
    """
    own = sorted(domain for domain in family_of if family_of[domain] == family)
    begun = sorted(domain for domain in family_of if domain.startswith(family))
    return (family,) if begun == own else tuple(f"{EXACTLY}{domain}" for domain in own)


def family_of_each(domain: Iterable[str], family: Iterable[str]) -> dict[str, str]:
    """Return domain -> its family, given both of every query."""
    return dict(zip(map(str, domain), map(str, family), strict=True))
