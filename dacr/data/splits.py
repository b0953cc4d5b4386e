"""Train and test: by query in distribution, by domain out of distribution.

The split is a function of the query ids and the split seed alone: every stage that needs it computes
the same one, whatever the order of the rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
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
        A prefix that matches no domain or all of them; ``test_size`` outside (0, 1).
    """
    names = np.asarray(domain, dtype=object)
    if ood_holdout:
        held_out = held_out_domains(list(names), ood_holdout)
        is_test = np.isin(names.astype(str), held_out)
        return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test), held_out)
    if not 0.0 < test_size < 1.0:
        raise UserError(f"--test_size must lie between 0 and 1, got {test_size:g}; try 0.2")
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
    order: NDArray[np.int64] = rows[np.argsort(draw, kind="stable")]
    return order
