"""Which code made a part: the same on every machine that has the same sources."""

from __future__ import annotations

import functools

from dacr.core.code_version import code_version

NOT_IN_A_CELL = ("report", "envs", "experiment/verify")
"""Packages that no cell imports: a change to a figure makes no part old."""


@functools.cache
def cell_code() -> str:
    """Return a hash over the sources that cells may run, as they were when this process first asked.

    A commit would not do: a changed file is not in it, and an installed package or a worker's copy has none.
    """
    return code_version(without=NOT_IN_A_CELL)
