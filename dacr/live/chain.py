"""The fallback chain: models in order, the first answer that passes wins.

An attempt is *rejected* by a timeout, an API error or a refusal, *invalid* if it fails the caller's
JSON Schema, *skipped* while its model rests or where its key is missing. Every attempt is recorded and paid for.

.. code-block:: python

    chain = Chain.load("configs/chain.yaml")
    result = await chain.route([{"role": "user", "content": "hello"}], schema=None, context="greeting")
    await chain.close()
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dacr.core.configs import CONFIGS
from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema, judge_text
from dacr.live.call import OWN_FAULT, CallResult
from dacr.live.fleet import Fleet, Link, load_chain
from dacr.live.telemetry import Cooldown, Counters, Sink, Sinks

NONE = "none"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChainAttempt:
    """One model's turn: ``outcome`` is success, rejected, invalid or skipped.

    Attributes
    ----------
    reason : str
        A word of ours: an error's class, refusal, schema, cooldown, no_key.
    detail : str
        More of it; may quote the server, and so the request or its answer.
    """

    model: str
    outcome: str
    reason: str
    latency_ms: float
    cost_usd: float | None = 0.0
    detail: str = ""

    def __str__(self) -> str:
        why = ": ".join(one for one in (self.reason, self.detail) if one)
        return f"{self.model}: {self.outcome} ({why}, {self.latency_ms:.0f} ms)"


@dataclass(frozen=True)
class ChainResult:
    """What came of one request.

    Attributes
    ----------
    cost_usd : float or None
        Of all attempts; None where a price or a usage is not known.
    about : mapping
        What chose the order of the models, and why.
    """

    content: Any
    raw_text: str
    model_used: str
    attempts: tuple[ChainAttempt, ...]
    latency_ms: float
    succeeded: bool
    last: CallResult | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> tuple[ChainAttempt, ...]:
        """The attempts that were calls."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome != "skipped")

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts in USD."""
        known = [attempt.cost_usd for attempt in self.attempts if attempt.cost_usd is not None]
        return sum(known) if len(known) == len(self.attempts) else None

    def to_dict(self, texts: bool = False) -> dict[str, Any]:
        """Return the result as JSON; without ``texts`` nothing in it quotes the request or its answer."""
        attempts = [asdict(attempt) for attempt in self.attempts]
        if not texts:
            for attempt in attempts:
                del attempt["detail"]
        told = {
            "model_used": self.model_used,
            "attempts": attempts,
            "latency_ms": self.latency_ms,
            "cost_usd": self.cost_usd,
            "succeeded": self.succeeded,
        }
        return {**told, "content": self.content, "raw_text": self.raw_text} if texts else told


class ChainError(RuntimeError):
    """Every model failed. The text carries the attempt log as JSON; ``result`` is the whole record."""

    def __init__(self, result: ChainResult) -> None:
        why = "; ".join(map(str, result.attempts)) or result.about.get("decision", {}).get("reason", "none was called")
        log = json.dumps([asdict(attempt) for attempt in result.attempts], ensure_ascii=False)
        super().__init__(f"every model failed: {why}" + (f"; attempts: {log}" if result.attempts else ""))
        self.result = result


Ask = Callable[[Link, Sequence[Mapping[str, Any]], Mapping[str, Any]], Awaitable[CallResult]]
"""Calls the model of a link with messages and further request fields."""


class Chain:
    """Runs requests along an order of models.

    Parameters
    ----------
    links : sequence of Link
        In the default order.
    fleet : Fleet
        Makes the calls, and knows their prices.
    sinks : sequence of Sink
        Each gets an event for each finished request.
    cooldown : Cooldown, optional
        Without it a dead model is paid for again by every request.
    sink_texts : bool
        Events hold the answer's text and the servers' words too.

    Attributes
    ----------
    metrics : Counters
        ``metrics.snapshot()``, ``metrics.success_rate(model)``.
    """

    def __init__(
        self,
        links: Sequence[Link],
        fleet: Fleet,
        sinks: Sequence[Sink] = (),
        cooldown: Cooldown | None = None,
        sink_texts: bool = False,
    ) -> None:
        self.links = {link.name: link for link in links}
        self.fleet, self.cooldown, self.sink_texts = fleet, cooldown, sink_texts
        self.sinks = Sinks(sinks)
        self.metrics = Counters(list(self.links))
        self._no_format: set[str] = set()

    @classmethod
    def load(
        cls,
        config: str | Path = CONFIGS / "chain.yaml",
        catalogue: str | Path = CONFIGS / "models.yaml",
        base_url: str | None = None,
        sinks: Sequence[Sink] = (),
    ) -> Chain:
        """Return the chain of a file, its models as the catalogue has them."""
        links, rule = load_chain(config)
        fleet = Fleet.of(catalogues.load(catalogue), links, base_url)
        for name, why in fleet.left_out.items():
            _log.warning("model %s is left out: %s", name, why)
        return cls(links, fleet, sinks, Cooldown(rule) if rule else None)

    async def route(
        self,
        messages: Sequence[Mapping[str, Any]],
        schema: Schema | Mapping[str, Any] | None = None,
        context: str | None = None,
        order: Sequence[str] | None = None,
        extra: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> ChainResult:
        """Return the first answer that passes.

        Parameters
        ----------
        schema : optional
            JSON Schema that the answer must fit.
        context : str, optional
            A label of the request in log lines and events.
        order : sequence of str, optional
            Models to try, in order; the chain's own by default.
        extra : mapping, optional
            Further request fields.
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
        if resting.issuperset(set(waiting) - set(self.fleet.left_out)):
            resting = set()  # better a model that rests than none
        while waiting:
            link = self.links[waiting.pop(0)]
            attempt, result, content = await self._attempt(link, messages, checked, extra or {}, link.name in resting)
            attempts.append(attempt)
            _log.info("%s%s: %s (%s, %.0f ms)", f"[{context}] " if context else "", attempt.model, attempt.outcome,
                      attempt.reason, attempt.latency_ms)  # fmt: skip
            text, last = result.text if result and result.text else text, result or last
            if attempt.outcome == "success":
                break
            if result and result.error == "context_length":
                done = {one.model for one in attempts}
                longer = [name for name in link.context_fallback if name in self.links and name not in done]
                waiting = [*longer, *(name for name in waiting if name not in longer)]
        succeeded = bool(attempts) and attempts[-1].outcome == "success"
        outcome = ChainResult(
            content=content if succeeded else None,
            raw_text=text,
            model_used=attempts[-1].model if succeeded else NONE,
            attempts=tuple(attempts),
            latency_ms=1000 * (time.perf_counter() - started),
            succeeded=succeeded,
            last=last,
            about={**(about or {}), **({"context": context} if context else {})},
        )
        self.metrics.book([one.model for one in outcome.called], succeeded)
        self.sinks.publish(self._event(outcome))
        if not succeeded:
            raise ChainError(outcome)
        return outcome

    async def close(self) -> None:
        """Release the connections, and write what the sinks still hold."""
        await self.fleet.aclose()
        self.sinks.close()

    def _event(self, result: ChainResult) -> dict[str, Any]:
        about = dict(result.about)
        if "decision" in about and not self.sink_texts:
            about["decision"] = {name: value for name, value in about["decision"].items() if name != "task"}
        counts = {"metrics_snapshot": self.metrics.snapshot(), "timestamp": time.time()}
        return {**result.to_dict(self.sink_texts), **counts, **about}

    async def _attempt(
        self,
        link: Link,
        messages: Sequence[Mapping[str, Any]],
        schema: Schema | None,
        extra: Mapping[str, Any],
        rests: bool,
    ) -> tuple[ChainAttempt, CallResult | None, Any]:
        if link.name in self.fleet.left_out:
            missing = self.fleet.left_out[link.name]
            return ChainAttempt(link.name, "skipped", "no_key", 0.0, detail=missing), None, None
        if rests:
            return ChainAttempt(link.name, "skipped", "cooldown", 0.0), None, None
        fields = {**extra, **link.extra}
        started = time.perf_counter()
        told = {}
        if schema is not None and link.name not in self._no_format:
            told = {"response_format": schema.response_format()}
        result = await self.fleet.ask(link, messages, {**fields, **told})
        if told and result.error in ("bad_request", "option"):
            # A server that knows no schemas: ask plainly, now and later.
            plain = await self.fleet.ask(link, messages, fields)
            if plain.ok:
                self._no_format.add(link.name)
            result = plain
        if not result.ok:
            judged: tuple[str, str, str, Any] = ("rejected", result.error or "error", result.message, None)
        elif schema is None:
            judged = judge_text(result.text)
        else:  # in a thread: a client's schema may take its time
            judged = await asyncio.to_thread(judge_text, result.text, schema)
        if self.cooldown and result.error not in OWN_FAULT:
            self.cooldown.book(link.name, failed=not result.ok)
        latency_ms = 1000 * (time.perf_counter() - started)
        outcome, reason, detail, content = judged
        cost = self.fleet.price(link, result)
        return ChainAttempt(link.name, outcome, reason, latency_ms, cost, detail), result, content
