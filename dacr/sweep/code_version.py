"""Which code made a part: a hash of the sources, the same on every machine that has them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent

NOT_IN_A_CELL = ("report", "envs", "verify")
"""Packages that no cell imports: a change to a figure makes no part old."""


@functools.cache
def code_version(root: Path = _PACKAGE) -> str:
    """Return 16 hex digits over the names and contents of the package's sources.

    A commit would not do: a changed file is not in it, and an installed package or a worker's copy has none.
    """
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        name = path.relative_to(root)
        if name.parts[0] not in NOT_IN_A_CELL:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
