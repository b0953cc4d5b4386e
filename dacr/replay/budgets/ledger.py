"""The purses of many runs in integer nano-dollars: reserve, settle. Nothing is lost to rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dacr.core.money import NANO_PER_USD, to_nano
from dacr.types import Floats, Ints


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

    def reserve(self, usd: ArrayLike) -> Ints:
        """Hold money for a call of each run; return what is held, (n_run,) nano-dollars."""
        held = to_nano(usd)
        self.reserved += held
        return held

    def settle(self, run: Ints, held: Ints, usd: ArrayLike) -> None:
        """Replace what was held for finished calls by what they cost; ``run`` may name a run twice."""
        np.add.at(self.reserved, run, -held)
        np.add.at(self.spent, run, to_nano(usd))
