"""The fallback chain: models in order, the first answer that passes wins.

An attempt is *rejected* by a timeout, an API error or a refusal, *invalid* if it fails the caller's
JSON Schema, *skipped* while its model rests. Every attempt is recorded and paid for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from dacr.estimates.features.refusals import is_refusal
from dacr.live.answers import Schema, parse_json, without_thoughts
from dacr.live.call import CallResult
from dacr.live.cooldown import Cooldown
from dacr.live.counters import Counters
from dacr.live.sink import Sink, Sinks

NONE = "none"


@dataclass(frozen=True)
class Link:
    """One model of a chain.

    Attributes
    ----------
    timeout_s : float
        Most seconds of one attempt, and what is reported: not a second more is allowed.
    extra : mapping
        Further request fields.
    context_fallback : tuple of str
        Models to try next when the prompt is too long for this one.
    """

    name: str
    timeout_s: float = 30.0
    api_base: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    context_fallback: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChainAttempt:
    """One model's turn: ``outcome`` is success, rejected, invalid or skipped."""

    model: str
    outcome: str
    reason: str
    latency_ms: float
    cost_usd: float | None = 0.0


@dataclass(frozen=True)
class ChainResult:
    """What came of one request. ``cost_usd`` is None where a price or a usage is not known."""

    content: Any
    raw_text: str
    model_used: str
    attempts: tuple[ChainAttempt, ...]
    latency_ms: float
    succeeded: bool
    last: CallResult | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts in USD."""
        costs = [attempt.cost_usd for attempt in self.attempts]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def record(self) -> dict[str, Any]:
        """Return the result without its content, as JSON."""
        return {
            "raw_text": self.raw_text,
            "model_used": self.model_used,
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "latency_ms": self.latency_ms,
            "cost_usd": self.cost_usd,
            "succeeded": self.succeeded,
        }


class ChainError(Exception):
    """Every model failed. The text carries the attempt log; ``result`` the whole record."""

    def __init__(self, result: ChainResult) -> None:
        reason = result.about.get("decision", {}).get("reason", "none was called")
        log = "; ".join(
            f"{one.model}: {one.outcome} ({one.reason}, {one.latency_ms:.0f} ms)" for one in result.attempts
        )
        super().__init__(f"every model failed: {log or reason}")
        self.result = result


Ask = Callable[[Link, Sequence[Mapping[str, Any]], Mapping[str, Any]], Awaitable[CallResult]]
"""Calls the model of a link with messages and further request fields."""


class Chain:
    """Runs requests along an order of models.

    Parameters
    ----------
    links : sequence of Link
        In the default order.
    ask : callable
        Makes one call, see :data:`Ask`; must keep to ``link.timeout_s``.
    price : callable
        (link, result) -> cost in USD or None.
    sink : Sink, optional
        Gets an event for each finished request.
    cooldown : Cooldown, optional
        Without it a dead model is paid for again by every request.
    legacy : bool
        The original's refusal phrases, JSON parsing and counting.
    """

    def __init__(
        self,
        links: Sequence[Link],
        ask: Ask,
        price: Callable[[Link, CallResult], float | None] = lambda link, result: 0.0,
        sink: Sink | None = None,
        cooldown: Cooldown | None = None,
        legacy: bool = False,
    ) -> None:
        self.links = {link.name: link for link in links}
        self.ask, self.price, self.cooldown, self.legacy = ask, price, cooldown, legacy
        self.sink = Sinks([sink] if sink is not None else [])
        self.counters = Counters(list(self.links), legacy)
        self._no_format: set[str] = set()

    async def run(
        self,
        messages: Sequence[Mapping[str, Any]],
        schema: Schema | Mapping[str, Any] | None = None,
        order: Sequence[str] | None = None,
        extra: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> ChainResult:
        """Return the first answer that passes.

        Parameters
        ----------
        order : sequence of str, optional
            Models to try, in order; the chain's own by default.
        about : mapping, optional
            Joins the event (why this order was chosen).

        Raises
        ------
        UserError
            The schema itself is not valid.
        ChainError
            Every model failed; the event has been published before.
        """
        checked = schema if schema is None or isinstance(schema, Schema) else Schema(schema)
        started = time.perf_counter()
        attempts: list[ChainAttempt] = []
        content, text, last = None, "", None
        waiting = list(self.links if order is None else order)
        resting = {name for name in waiting if self.cooldown and self.cooldown.rests(name)}
        if len(resting) == len(waiting):
            resting = set()  # better a model that rests than none
        while waiting:
            link = self.links[waiting.pop(0)]
            if link.name in resting:
                attempts.append(ChainAttempt(link.name, "skipped", "cooldown", 0.0))
                continue
            attempt, result, content = await self._attempt(link, messages, checked, extra or {})
            attempts.append(attempt)
            text, last = result.text or text, result
            if attempt.outcome == "success":
                break
            if result.error == "context_length":
                done = {one.model for one in attempts}
                longer = [name for name in link.context_fallback if name in self.links and name not in done]
                waiting = [*longer, *(name for name in waiting if name not in longer)]
        succeeded = bool(attempts) and attempts[-1].outcome == "success"
        result_ = ChainResult(
            content=content if succeeded else None,
            raw_text=text,
            model_used=attempts[-1].model if succeeded else NONE,
            attempts=tuple(attempts),
            latency_ms=1000 * (time.perf_counter() - started),
            succeeded=succeeded,
            last=last,
            about=about or {},
        )
        self.counters.book([one.model for one in attempts if one.outcome != "skipped"], succeeded)
        stamp = datetime.now(UTC).isoformat()
        self.sink.publish(
            {**result_.record(), "counters": self.counters.snapshot(), "timestamp": stamp, **(about or {})}
        )
        if not succeeded:
            raise ChainError(result_)
        return result_

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()

    async def _attempt(
        self, link: Link, messages: Sequence[Mapping[str, Any]], schema: Schema | None, extra: Mapping[str, Any]
    ) -> tuple[ChainAttempt, CallResult, Any]:
        fields = {**extra, **link.extra}
        started = time.perf_counter()
        tells = schema is not None and not self.legacy and link.name not in self._no_format
        if schema is not None and tells:
            result = await self.ask(link, messages, {**fields, "response_format": schema.response_format()})
            if result.error == "bad_request":  # a server that knows no schemas: ask plainly, now and later
                self._no_format.add(link.name)
                result = await self.ask(link, messages, fields)
        else:
            result = await self.ask(link, messages, fields)
        outcome, reason, content = self._judge(result, schema)
        if self.cooldown:
            self.cooldown.book(link.name, failed=not result.ok)
        latency_ms = 1000 * (time.perf_counter() - started)
        return ChainAttempt(link.name, outcome, reason, latency_ms, self.price(link, result)), result, content

    def _judge(self, result: CallResult, schema: Schema | None) -> tuple[str, str, Any]:
        """Return (outcome, reason, content): validity first, for valid JSON may quote a refusal."""
        if not result.ok:
            reason = result.error or "error"
            return "rejected", reason if not result.message else f"{reason}: {result.message}", None
        return judge_text(result.text, schema, self.legacy)


def judge_text(text: str, schema: Schema | None = None, legacy: bool = False) -> tuple[str, str, Any]:
    """Judge an answer that arrived: (outcome, reason, content)."""
    if legacy and is_refusal(text, legacy=True):
        return "rejected", "refusal", None
    answer = text if legacy else without_thoughts(text)
    if schema is not None:
        parsed = parse_json(answer, schema, legacy)
        if parsed.problem is None:
            return "success", "", parsed.value
        if not legacy and is_refusal(answer):
            return "rejected", "refusal", None
        return "invalid", parsed.problem, None
    if not legacy and not _is_json(answer) and is_refusal(answer):
        return "rejected", "refusal" if answer else "refusal (empty answer)", None
    return "success", "", answer


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
