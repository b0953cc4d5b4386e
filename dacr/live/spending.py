"""A purse that is never overdrawn: reserve the most that a call can cost, then settle what it did cost."""

from __future__ import annotations

import asyncio

from dacr.core import money
from dacr.types import ModelSpec

_MESSAGE_OVERHEAD_TOKENS = 64


def most_usd(spec: ModelSpec, prompt: str, max_output_tokens: int) -> float:
    """Return the most that a call can cost in USD.

    A token stands for at least one byte of UTF-8, so the prompt's bytes bound its tokens.
    """
    return spec.cost_usd(len(prompt.encode()) + _MESSAGE_OVERHEAD_TOKENS, max_output_tokens)


class Purse:
    """Money of one run, in nano-dollars.

    Parameters
    ----------
    limit_usd : float or None
        None: no limit.
    spent_usd : float
        What earlier runs have spent already.
    """

    def __init__(self, limit_usd: float | None, spent_usd: float = 0.0) -> None:
        self.limit = None if limit_usd is None else money.limit(limit_usd)
        self.spent = money.bill(spent_usd)
        self.reserved = 0
        self._changed = asyncio.Condition()

    @property
    def spent_usd(self) -> float:
        """What has been paid, calls of unknown cost at the most they can have cost."""
        return self.spent / money.NANO_PER_USD

    async def reserve(self, most: int) -> bool:
        """Reserve ``most`` nano-dollars; wait while running calls may still give some back.

        Returns
        -------
        bool
            False if it does not fit although nothing is running: the money is used up.
        """
        async with self._changed:
            while self.limit is not None and self.spent + self.reserved + most > self.limit:
                if self.reserved == 0:
                    return False
                await self._changed.wait()
            self.reserved += most
            return True

    async def settle(self, most: int, paid: int) -> None:
        """Give back a reservation and book what was paid."""
        async with self._changed:
            self.reserved -= most
            self.spent += paid
            self._changed.notify_all()
