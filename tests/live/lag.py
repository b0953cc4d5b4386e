"""How late an event loop is: what a busy machine adds to every time that is measured in it."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

_TICK_S = 0.005


class Lag:
    """Adds up, while it is entered, by how much short naps in the running loop take longer than they should.

    Whatever keeps the loop from a timer keeps it from a nap too. So an upper bound on a time, with the sum
    added, is a bound on what the code under test waits for, however busy the machine is.

    Attributes
    ----------
    total_s : float, seconds
    """

    def __init__(self) -> None:
        self.total_s = 0.0

    async def __aenter__(self) -> Lag:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The nap that is under way counts too: it ends by itself.
        self._last = True
        await self._task

    async def _watch(self) -> None:
        self._last = False
        before = time.perf_counter()
        while not self._last:
            await asyncio.sleep(_TICK_S)
            now = time.perf_counter()
            self.total_s += max(0.0, now - before - _TICK_S)
            before = now
