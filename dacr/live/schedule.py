"""Which calls a stream asks for, when, and with what money."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.core import money
from dacr.core.errors import UserError
from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.data.prices import Price
from dacr.data.tokens import prompt_tokens_at_most


@dataclass(frozen=True)
class Job:
    """One call to be made.

    Attributes
    ----------
    arrival_s : float, stream seconds
        As in the stream file.
    due_s : float, wall seconds
        After the first event of the stream.
    """

    qid: str
    model: str
    prompt: str
    arrival_s: float
    due_s: float


def chosen_models(qids: Sequence[str], models: Sequence[str], per_event: int | None, seed: int) -> list[list[str]]:
    """Draw which models each event calls: ``min(per_event, all)`` of them, by draws that belong to its id.

    Examples
    --------
    >>> chosen_models(["a", "b"], ["x", "y"], None, 0)
    [['x', 'y'], ['x', 'y']]
    >>> [len(names) for names in chosen_models(["a", "b"], ["x", "y", "z"], 2, 0)]
    [2, 2]
    """
    if per_event is None or per_event >= len(models):
        return [list(models) for _ in qids]
    draws = keyed_uniform(keys_of(qids), len(models), seed_for("models of an event", seed))
    order = np.sort(np.argsort(draws, axis=1, kind="stable")[:, :per_event], axis=1)
    return [[models[column] for column in row] for row in order]


def plan(
    events: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    *,
    per_event: int | None = None,
    time_warp: float | None = None,
    seed: int = 0,
    source: str = "the stream",
) -> list[Job]:
    """Return one job per (qid, model) in order of arrival; a query that arrives again is called once.

    Parameters
    ----------
    time_warp : float or None
        Stream seconds per wall second, above 0. None takes the stream's own ``ts`` (Unix time, already
        warped when the stream was built), or ``arrival_s`` as it is where there is none.

    Raises
    ------
    UserError
        An event without ``qid``, ``prompt`` or ``arrival_s``.
    """
    for number, event in enumerate(events, start=1):
        lacking = [name for name in ("qid", "prompt", "arrival_s") if event.get(name) is None]
        if lacking:
            raise UserError(f"{source}, line {number}: lacks {lacking}; write it with python scripts/build_stream.py")
        for name in ("arrival_s", "ts"):
            value = event.get(name, 0.0)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"{source}, line {number}: {name} must be a number of seconds, got {value!r}")
    names = chosen_models([str(event["qid"]) for event in events], models, per_event, seed)
    own_clock = time_warp is None and all("ts" in event for event in events)
    clock = [float(event["ts"] if own_clock else event["arrival_s"] / (time_warp or 1.0)) for event in events]
    start = min(clock)
    jobs: dict[tuple[str, str], Job] = {}
    for event, due, chosen in zip(events, clock, names, strict=True):
        qid = str(event["qid"])
        for model in chosen:
            job = Job(qid, model, str(event["prompt"]), float(event["arrival_s"]), due - start)
            jobs.setdefault((qid, model), job)
    return sorted(jobs.values(), key=lambda job: job.due_s)


async def launch(
    jobs: Sequence[Job], work: Callable[[Job], Awaitable[None]], slots: asyncio.Semaphore, pacing: bool
) -> None:
    """Start ``work`` on each job when it is due and a slot is free, and wait for all; the first error ends all.

    A job has its slot until its work ends, or gives it back and takes it again in between.
    """

    async def one(job: Job) -> None:
        try:
            await work(job)
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            origin = time.perf_counter() - (jobs[0].due_s if jobs else 0.0)
            for job in jobs:
                if pacing:
                    await asyncio.sleep(origin + job.due_s - time.perf_counter())
                await slots.acquire()
                group.create_task(one(job))
    except* Exception as errors:
        raise errors.exceptions[0] from None


def remaining(jobs: Iterable[Job], done: set[tuple[str, str]]) -> list[Job]:
    """Return the jobs that no earlier run recorded."""
    return [job for job in jobs if (job.qid, job.model) not in done]


def most_usd(price: Price, prompt: str, max_output_tokens: int) -> float:
    """Return the most that a call can cost in USD."""
    return float(price.cost(prompt_tokens_at_most(prompt), max_output_tokens))


class SpendCap:
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

    @property
    def is_over(self) -> bool:
        """Whether bills were larger than what was reserved for them: what is still reserved would pass the limit."""
        return self.limit is not None and self.spent + self.reserved > self.limit

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
