"""The open-loop caller: jobs at their times, bounded concurrency, retries outside the clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI

from dacr.core.errors import UserError
from dacr.core.money import NANO_PER_USD, bill
from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.live.call import FATAL, RETRYABLE, CallResult, call
from dacr.live.catalogue import Entry
from dacr.live.endpoint import Endpoint
from dacr.live.schedule import Job, Purse, most_usd


@dataclass(frozen=True)
class Policy:
    """How calls are made.

    Attributes
    ----------
    retries : int
        Further tries after the first, for errors that another try may not meet.
    max_retry_after_s : float
        A server that asks to wait longer is not called again: the failure is recorded.
    """

    max_output_tokens: int = 256
    temperature: float = 0.0
    concurrency: int = 32
    timeout_s: float = 60.0
    retries: int = 2
    max_retry_after_s: float = 120.0
    pacing: bool = True
    stream: bool = True
    grace_s: float = 5.0


@dataclass
class _Pending:
    job: Job
    attempts: list[dict[str, Any]] = field(default_factory=list)
    results: list[CallResult] = field(default_factory=list)


class Caller:
    """Makes the calls of one run and hands each final outcome to ``record`` exactly once.

    A retry gives its slot back while it waits, so that a server's Retry-After never holds up others.
    """

    def __init__(
        self,
        policy: Policy,
        targets: Mapping[str, tuple[Entry, Endpoint]],
        purse: Purse,
        record: Callable[[dict[str, Any]], None],
    ) -> None:
        self.policy, self.targets, self.purse, self.record = policy, targets, purse, record
        self.stopped_by = ""
        self._origin = 0.0
        self._stop = asyncio.Event()
        self._queue: asyncio.Queue[_Pending | None] = asyncio.Queue()
        self._outstanding = 0
        self._clients: dict[Endpoint, AsyncOpenAI] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._fatal: UserError | None = None

    def stop(self, reason: str) -> None:
        """Start no further call. Those that run may end; a second request cancels them."""
        if self._stop.is_set():
            for worker in self._workers:
                worker.cancel()
        self.stopped_by = self.stopped_by or reason
        self._end()

    async def run(self, jobs: Sequence[Job]) -> None:
        """Make all calls; return when each has its final outcome or after :meth:`stop`.

        Raises
        ------
        UserError
            The server refuses the key, or knows no such model: every further call would fail alike.
        """
        if not jobs:
            return
        self._outstanding = len(jobs)
        self._workers = [asyncio.create_task(self._work()) for _ in range(min(self.policy.concurrency, len(jobs)))]
        launcher = asyncio.create_task(self._launch(jobs))
        try:
            await self._stop.wait()
            launcher.cancel()
            if self._workers and self.stopped_by:
                await asyncio.wait(self._workers, timeout=self.policy.grace_s)
        finally:
            for task in (launcher, *self._workers):
                task.cancel()
            outcomes = await asyncio.gather(launcher, *self._workers, return_exceptions=True)
            for client in self._clients.values():
                with contextlib.suppress(Exception):
                    await client.close()
        if self._fatal:
            raise self._fatal
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _launch(self, jobs: Sequence[Job]) -> None:
        self._origin = time.perf_counter() - jobs[0].due_s
        for job in jobs:
            if self.policy.pacing:
                await asyncio.sleep(self._origin + job.due_s - time.perf_counter())
            self._queue.put_nowait(_Pending(job))

    def _end(self) -> None:
        self._stop.set()
        for _ in self._workers:
            self._queue.put_nowait(None)

    async def _work(self) -> None:
        try:
            while True:
                pending = await self._queue.get()
                if pending is None or self._stop.is_set():
                    return
                await self._attempt(pending)
        except Exception:
            self.stop("an error")
            raise

    async def _attempt(self, pending: _Pending) -> None:
        job = pending.job
        entry, endpoint = self.targets[job.model]
        most = bill(most_usd(entry.spec, job.prompt, self.policy.max_output_tokens)) if entry.priced else 0
        if not await self.purse.reserve(most):
            self.stop("money")
            return
        paid = most
        # Not drawn from the seed: no two attempts share an id, those of an earlier run included.
        request_id = uuid.uuid4().hex
        try:
            result = await call(
                self._client(endpoint),
                endpoint,
                entry.api_name,
                [{"role": "user", "content": job.prompt}],
                timeout_s=self.policy.timeout_s,
                max_output_tokens=self.policy.max_output_tokens,
                temperature=self.policy.temperature,
                stream=self.policy.stream,
                request_id=request_id,
            )
            paid = _paid(result, entry, most)
        finally:
            # A cancelled call may have been billed: it is booked at the most it can have cost.
            await self.purse.settle(most, paid)
        self._finish(pending, result, entry, paid, request_id)

    def _finish(self, pending: _Pending, result: CallResult, entry: Entry, paid: int, request_id: str) -> None:
        if result.error in FATAL:
            what = f"{FATAL[result.error]} (model {entry.api_name!r}; {result.message})"
            self._fatal = UserError(f"{what}; mend that and run the same command again")
            self.stop("a refusal")
            return
        pending.results.append(result)
        about = {"request_id": request_id, "started_s": round(result.started_s - self._origin, 6)}
        pending.attempts.append(about | _attempt_record(result, entry, paid))
        wait = self._retry_wait(pending, result)
        if wait is None:
            self.record(_outcome_record(pending, entry, self.policy.pacing))
            self._outstanding -= 1
            if self._outstanding == 0:
                self._end()
        else:
            asyncio.get_running_loop().call_later(wait, self._queue.put_nowait, pending)

    def _retry_wait(self, pending: _Pending, result: CallResult) -> float | None:
        tries = len(pending.attempts)
        if result.error not in RETRYABLE or tries > self.policy.retries:
            return None
        if result.retry_after_s is not None:
            return result.retry_after_s if result.retry_after_s <= self.policy.max_retry_after_s else None
        key = keys_of([f"{pending.job.qid}\x1f{pending.job.model}"])
        jitter = float(keyed_uniform(key, 1, seed_for("retry", tries))[0, 0])
        return float(min(30.0, 0.5 * 2 ** (tries - 1)) * (0.5 + jitter))

    def _client(self, endpoint: Endpoint) -> AsyncOpenAI:
        if endpoint not in self._clients:
            self._clients[endpoint] = endpoint.client()
        return self._clients[endpoint]


def _paid(result: CallResult, entry: Entry, most: int) -> int:
    """Return what is booked in nano-dollars: what the server's own token counts cost, else the most it can be."""
    if not result.tokens_estimated and (result.ok or result.output_tokens):
        return bill(entry.spec.cost_usd(result.input_tokens, result.output_tokens))
    # An answer without token counts was billed for tokens that nobody here knows.
    return most if result.ok or result.maybe_billed else 0


def _cost(result: CallResult, entry: Entry) -> float | None:
    """Return the cost in USD, or None where the prices or the tokens are not known."""
    if not entry.priced or (result.maybe_billed and (result.tokens_estimated or not result.output_tokens)):
        return None
    return 0.0 if not result.ok else entry.spec.cost_usd(result.input_tokens, result.output_tokens)


def _attempt_record(result: CallResult, entry: Entry, paid: int) -> dict[str, Any]:
    return {
        "error": result.error,
        "status": result.status,
        "message": result.message,
        "latency_s": round(result.latency_s, 6),
        "retry_after_s": result.retry_after_s,
        "cost_usd": _cost(result, entry),
        "cost_at_most_usd": paid / NANO_PER_USD if entry.priced else None,
    }


def _outcome_record(pending: _Pending, entry: Entry, paced: bool) -> dict[str, Any]:
    job, last = pending.job, pending.results[-1]
    *earlier, final = pending.attempts
    late_s = max(0.0, pending.attempts[0]["started_s"] - job.due_s)
    return {
        "qid": job.qid,
        "model": job.model,
        "endpoint_model": entry.api_name,
        "ok": last.ok,
        **{name: value for name, value in final.items() if name != "retry_after_s"},
        "ttft_s": None if last.ttft_s is None else round(last.ttft_s, 6),
        "arrival_s": job.arrival_s,
        "late_start_s": round(late_s, 6) if paced else None,
        "input_tokens": last.input_tokens,
        "output_tokens": last.output_tokens,
        "tokens_estimated": last.tokens_estimated,
        "finish_reason": last.finish_reason,
        "cost_at_most_usd": sum(one["cost_at_most_usd"] for one in pending.attempts) if entry.priced else None,
        "attempts": earlier,
    }
