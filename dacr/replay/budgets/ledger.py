"""The purses of many runs in integer nano-dollars: nothing is lost to rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dacr.core.money import to_nano
from dacr.types import Ints


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
