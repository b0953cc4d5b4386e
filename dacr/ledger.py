"""Money in integer nano-dollars: afford, reserve, settle. Nothing is lost to rounding.

A RouterBench call costs some 1e-5 USD; a float sum over a million of them drifts, an integer one does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dacr.types import Bools, Floats, Ints

NANO_PER_USD = 1_000_000_000


def to_nano(usd: ArrayLike) -> Ints:
    """Round USD up to whole nano-dollars: what is reserved is never less than what was said.

    Examples
    --------
    >>> to_nano([0.1, 1e-9, 0.0]).tolist()
    [100000000, 1, 0]
    """
    scaled = np.asarray(usd, dtype=np.float64) * NANO_PER_USD
    # A float product such as 0.1 * 1e9 may lie a hair above the whole number that is meant.
    nano: Ints = np.ceil(scaled - 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-6)).astype(np.int64)
    return nano


class Ledger:
    """A purse for each of ``n_run`` runs.

    At any time ``granted = free + reserved + spent``, to the nano-dollar.

    Parameters
    ----------
    granted_usd : (n_run,) float
        What each run may spend.
    """

    def __init__(self, granted_usd: ArrayLike) -> None:
        self.granted = to_nano(granted_usd)
        self.reserved = np.zeros_like(self.granted)
        self.spent = np.zeros_like(self.granted)

    @property
    def free(self) -> Ints:
        """What is neither spent nor reserved, in nano-dollars; below 0 where calls cost more than held."""
        return self.granted - self.reserved - self.spent

    @property
    def free_usd(self) -> Floats:
        """The same in USD."""
        return self.free / NANO_PER_USD

    def afford(self, usd: ArrayLike) -> Bools:
        """Say which amounts (n_run,) or (n_run, k) the free money covers."""
        nano = to_nano(usd)
        free = self.free if nano.ndim == 1 else self.free[:, None]
        covered: Bools = nano <= free
        return covered

    def reserve(self, usd: ArrayLike) -> Ints:
        """Hold money for a call of each run; return what is held, (n_run,) nano-dollars."""
        held = to_nano(usd)
        self.reserved += held
        return held

    def settle(self, run: Ints, held: Ints, usd: ArrayLike) -> None:
        """Replace what was held for finished calls by what they cost; ``run`` may name a run twice."""
        np.add.at(self.reserved, run, -held)
        np.add.at(self.spent, run, to_nano(usd))
