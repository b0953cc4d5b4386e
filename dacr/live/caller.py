"""The open-loop caller: jobs at their times, bounded concurrency, retries outside the clock."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.files import CONFIGS
from dacr.core.money import NANO_PER_USD, bill
from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.core.values import Above0, AtLeast0, AtLeast1, Checked, Whole
from dacr.live.call import FATAL, RETRYABLE, CallResult, fatal
from dacr.live.catalogue import CatalogueEntry
from dacr.live.fleet import Fleet, Link
from dacr.live.schedule import Job, SpendCap, launch, most_usd


@dataclass(frozen=True)
class CollectSettings(Checked):
    """Flags of ``collect_latency_openai``.

    Parameters
    ----------
    stream : Path
        Written by scripts/build_stream.py.
    models : StrList
        Names from the catalogue, "a b" or "a,b"; all of it by default.
    config : Path
        The catalogue: models with provider and prices, providers with address and key variable.
    out : Path
        JSON lines, appended to.
    max_output_tokens : int
        Most tokens of an answer.
    temperature : float
        Sampling temperature.
    concurrency : int
        Most calls at a time. A call that had to wait for a slot says so in late_start_s.
    per_event_models : int | None
        Call this many models per event, chosen by a seeded draw; all by default.
    base_url : str | None
        Any OpenAI-compatible server; by default the provider's.
    time_warp : float | None
        Stream seconds per wall second; by default the stream's own ts.
    no_pacing : bool
        Call as fast as --concurrency allows.
    max_cost_usd : float | None
        Stop before this is passed, earlier runs into the same log included.
    timeout_s : float
        Most seconds of one attempt, however slowly it drips.
    retries : int
        Further attempts after 429, 5xx, connection errors, timeouts and cut answers.
    max_retry_after_s : float
        A longer Retry-After is a failure.
    no_stream : bool
        Ask for whole answers (no time to first token).
    max_events : int | None
        Take the first events of the stream only.
    seed : int
        Names the draw of --per_event_models.
    api_key_env : str | None
        Variable with the key; by default the provider's, else OPENAI_API_KEY.
    allow_insecure : bool
        Allow plain http to another machine.
    """

    stream: Path = Path("data/stream.jsonl")
    models: StrList = StrList(())  # noqa: RUF009 (immutable)
    config: Path = CONFIGS / "models.yaml"
    out: Path = Path("data/latency_measured.jsonl")
    max_output_tokens: AtLeast1 = 256
    temperature: float = 0.0
    concurrency: AtLeast1 = 32
    per_event_models: AtLeast1 | None = None
    base_url: str | None = None
    time_warp: Above0 | None = None
    no_pacing: bool = False
    max_cost_usd: float | None = None
    timeout_s: Above0 = 60.0
    retries: Whole = 2
    max_retry_after_s: AtLeast0 = 120.0
    no_stream: bool = False
    max_events: int | None = None
    seed: int = 0
    api_key_env: str | None = None
    allow_insecure: bool = False


_GRACE_S = 5.0
"""Most seconds that running calls may still take after :meth:`Caller.stop`."""


class Caller:
    """Makes the calls of one run and hands each final outcome to ``record`` exactly once.

    A retry gives its slot back while it waits, so that a server's Retry-After never holds up others.
    """

    def __init__(
        self, settings: CollectSettings, fleet: Fleet, purse: SpendCap, record: Callable[[dict[str, Any]], None]
    ) -> None:
        self.settings, self.fleet, self.purse, self.record = settings, fleet, purse, record
        self.stopped_by = ""
        self._origin = 0.0
        self._stop = asyncio.Event()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._calls: set[asyncio.Task[float | None]] = set()
        self._run: asyncio.Task[None] | None = None
        self._fatal: UserError | None = None

    def stop(self, reason: str) -> None:
        """Start no further call. Those that run may end; a second request cancels them."""
        if self._stop.is_set() and self._run is not None:
            self._run.cancel()
        self.stopped_by = self.stopped_by or reason
        self._stop.set()

    async def run(self, jobs: Sequence[Job]) -> None:
        """Make all calls; return when each has its final outcome or after :meth:`stop`.

        Raises
        ------
        UserError
            The server refuses the key, or knows no such model: every further call would fail alike.
        """
        self._origin = time.perf_counter() - (jobs[0].due_s if jobs else 0.0)
        self._run = asyncio.create_task(launch(jobs, self._work, self._slots, not self.settings.no_pacing))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((self._run, stop), return_when=asyncio.FIRST_COMPLETED)
            if self._calls:
                await asyncio.wait(self._calls, timeout=_GRACE_S)
        finally:
            for task in (self._run, stop):
                task.cancel()
            await asyncio.gather(self._run, stop, return_exceptions=True)
            await self.fleet.aclose()
        if self._fatal:
            raise self._fatal
        if not self._run.cancelled():
            self._run.result()

    async def _work(self, job: Job) -> None:
        attempts: list[dict[str, Any]] = []
        while not self._stop.is_set():
            call = asyncio.create_task(self._attempt(job, attempts))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            wait = await call
            if wait is None:
                return
            self._slots.release()
            await asyncio.sleep(wait)
            await self._slots.acquire()

    async def _attempt(self, job: Job, attempts: list[dict[str, Any]]) -> float | None:
        """Call once; return how long to wait for another try, or None where there is none."""
        entry, _ = self.fleet.targets[job.model]
        most = bill(most_usd(entry.price, job.prompt, self.settings.max_output_tokens)) if entry.price else 0
        if not await self.purse.reserve(most):
            self.stop("money")
            return None
        paid = most
        # Not drawn from the seed: no two attempts share an id, those of an earlier run included.
        request_id = uuid.uuid4().hex
        fields = {"max_tokens": self.settings.max_output_tokens, "temperature": self.settings.temperature}
        try:
            result = await self.fleet.ask(
                Link(job.model, self.settings.timeout_s),
                [{"role": "user", "content": job.prompt}],
                fields,
                stream=not self.settings.no_stream,
                request_id=request_id,
            )
            paid = _paid(result, entry, most)
        finally:
            # A cancelled call may have been billed: it is booked at the most it can have cost.
            await self.purse.settle(most, paid)
        if result.error in FATAL:
            self._fatal = fatal(result.error, entry.api_name, result.message)
            self.stop("a refusal")
            return None
        about = {"request_id": request_id, "started_s": round(result.started_s - self._origin, 6)}
        attempts.append(about | _attempt_record(result, entry, paid))
        wait = self._retry_wait(job, result, len(attempts))
        if wait is None:
            self.record(_outcome_record(job, result, attempts, entry, not self.settings.no_pacing))
        return wait

    def _retry_wait(self, job: Job, result: CallResult, tries: int) -> float | None:
        if result.error not in RETRYABLE or tries > self.settings.retries:
            return None
        if result.retry_after_s is not None:
            return result.retry_after_s if result.retry_after_s <= self.settings.max_retry_after_s else None
        key = keys_of([f"{job.qid}\x1f{job.model}"])
        jitter = float(keyed_uniform(key, 1, seed_for("retry", tries))[0, 0])
        return float(min(30.0, 0.5 * 2 ** (tries - 1)) * (0.5 + jitter))


def _paid(result: CallResult, entry: CatalogueEntry, most: int) -> int:
    """Return what is booked in nano-dollars: what the server's own token counts cost, else the most it can be."""
    if entry.price and not result.tokens_estimated and (result.ok or result.output_tokens):
        return bill(entry.price.cost(result.input_tokens, result.output_tokens))
    # An answer without token counts was billed for tokens that nobody here knows.
    return most if result.ok or result.maybe_billed else 0


def _cost(result: CallResult, entry: CatalogueEntry) -> float | None:
    """Return the cost in USD, or None where the prices or the tokens are not known."""
    if entry.price is None or (result.maybe_billed and (result.tokens_estimated or not result.output_tokens)):
        return None
    return 0.0 if not result.ok else float(entry.price.cost(result.input_tokens, result.output_tokens))


def _attempt_record(result: CallResult, entry: CatalogueEntry, paid: int) -> dict[str, Any]:
    return {
        "error": result.error,
        "status": result.status,
        "message": result.message,
        "latency_s": round(result.latency_s, 6),
        "retry_after_s": result.retry_after_s,
        "cost_usd": _cost(result, entry),
        "cost_at_most_usd": paid / NANO_PER_USD if entry.price else None,
    }


def _outcome_record(
    job: Job, last: CallResult, attempts: Sequence[dict[str, Any]], entry: CatalogueEntry, paced: bool
) -> dict[str, Any]:
    *earlier, final = attempts
    late_s = max(0.0, attempts[0]["started_s"] - job.due_s)
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
        "cost_at_most_usd": sum(one["cost_at_most_usd"] for one in attempts) if entry.price else None,
        "attempts": earlier,
    }
