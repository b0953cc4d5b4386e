"""Train and test: by query in distribution, by domain or family of domains out of distribution.

The split is a function of the query ids and the split seed alone: every stage that needs it computes
the same one, whatever the order of the rows.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.types import Ints

EXACTLY = "="
"""What a name of a hold-out begins with that means one domain, and not all that begin with the name."""


@dataclass(frozen=True)
class Split:
    """Row indices into a table's queries.

    Attributes
    ----------
    train, test : (n,) int
        Disjoint, ascending.
    held_out : tuple of str
        The domains of the test part that training has none of; empty in distribution.
    """

    train: Ints
    test: Ints
    held_out: tuple[str, ...] = ()


def held_out_domains(domains: Sequence[str], prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return the domains that begin with one of ``prefixes``; each prefix must match at least one.

    A prefix that begins with ``=`` matches the domain of that very name alone.

    Examples
    --------
    >>> held_out_domains(["gsm", "gsm-hard", "mbpp"], ["gsm"])
    ('gsm', 'gsm-hard')
    >>> held_out_domains(["gsm", "gsm-hard", "mbpp"], ["=gsm"])
    ('gsm',)
    """
    known = sorted(set(domains))
    chosen: set[str] = set()
    for prefix in prefixes:
        name = prefix.removeprefix(EXACTLY)
        hits = [d for d in known if (d == name if prefix.startswith(EXACTLY) else d.startswith(name))]
        if not hits:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise UserError(
                f"--ood_holdout {prefix!r} matches no domain; the nearest is {near!r} "
                f"(of {len(known)}: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''})"
            )
        chosen.update(hits)
    if len(chosen) == len(known):
        raise UserError(
            f"--ood_holdout {','.join(prefixes)!r} holds out all {len(known)} domains, so that none is left "
            "to train on; name fewer"
        )
    return tuple(sorted(chosen))


def split_queries(
    qid: Sequence[str],
    domain: Sequence[str],
    ood_holdout: Sequence[str] = (),
    test_size: float = 0.2,
    split_seed: int = 0,
) -> Split:
    """Split queries into train and test.

    With ``ood_holdout`` every domain that begins with one of its prefixes (``=name``: that domain alone) is tested and
    none of them is trained on.
    Without, the share ``test_size`` of each domain is tested, drawn by query id; a domain of
    one query stays in training.

    Raises
    ------
    UserError
        A prefix that matches no domain or all of them.
    """
    names = np.asarray(domain, dtype=object)
    if ood_holdout:
        held_out = held_out_domains(list(names), ood_holdout)
        is_test = np.isin(names.astype(str), held_out)
        return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test), held_out)
    draw = keyed_uniform(keys_of(qid), 1, seed_for("split", split_seed))[:, 0]
    _, code = np.unique(names.astype(str), return_inverse=True)
    order = np.lexsort((draw, code))
    size = np.bincount(code)
    rank = np.arange(len(code)) - np.repeat(np.cumsum(size) - size, size)
    is_test = np.zeros(len(code), dtype=bool)
    is_test[order] = rank < np.minimum(np.ceil(size * test_size), size - 1)[code[order]]
    if not is_test.any():
        raise UserError(f"{len(code)} queries in {len(size)} domains leave no test part; give more queries")
    return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def shuffled(qid: Sequence[str], rows: Ints, seed: int) -> NDArray[np.int64]:
    """Return ``rows`` in the stream order named by ``seed``: by a draw that belongs to each query id."""
    ids = np.asarray(qid, dtype=object)[rows]
    draw = keyed_uniform(keys_of(ids), 1, seed_for("stream order", seed))[:, 0]
    return rows[np.argsort(draw, kind="stable")]


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
