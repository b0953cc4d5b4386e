"""The executor of live requests: arms in order, each a model or a plan; the first that gives an answer wins.

A fallback chain is an order of single models. A plan asks the models of a round at once, and is told what they answered
as it is in replay (:class:`~dacr.routers.plans.paths.Walk`); a model that fails agrees with nothing.

An attempt is *rejected* by a timeout, an API error or a refusal, *invalid* if it fails the caller's
JSON Schema, *skipped* while its model rests or where its key is missing. Every attempt is recorded and paid for.

.. code-block:: python

    chain = Chain.load("configs/chain.yaml")
    result = await chain.route([{"role": "user", "content": "hello"}], schema=None, context="greeting")
    await chain.close()
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dacr.core.files import CONFIGS
from dacr.core.money import NANO_PER_USD
from dacr.estimates.answers.read import UNREAD, read_answers
from dacr.estimates.features.cues import response_cues
from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema, judge_text
from dacr.live.call import OWN_FAULT, CallResult
from dacr.live.fleet import Fleet, Link, load_chain
from dacr.live.request import ChainAttempt, ChainError, ChainResult, Request, Turn
from dacr.live.schedule import SpendCap
from dacr.live.telemetry import Cooldown, Counters, Sink, Sinks
from dacr.routers.plans.base import Alone, Plan
from dacr.routers.plans.paths import Walk
from dacr.types import Ints

_log = logging.getLogger(__name__)


class Chain:
    """Runs requests along an order of arms.

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
    purse : SpendCap, optional
        Money of all requests. An arm whose longest path does not fit is left out.

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
        purse: SpendCap | None = None,
    ) -> None:
        self.purse = purse or SpendCap(None)
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
    ) -> Self:
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
        order: Sequence[str | Plan] | None = None,
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
        order : sequence of str or Plan, optional
            Models and plans to try, in order; the chain's own models by default.
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
        told = {**(about or {}), **({"context": context} if context else {})}
        request = Request(messages, checked, extra or {}, told)
        waiting = [one if isinstance(one, Plan) else Alone(one) for one in (self.links if order is None else order)]
        names = {name for plan in waiting for name in plan.members}
        request.resting = {name for name in names if self.cooldown and self.cooldown.rests(name)}
        if request.resting.issuperset(names - set(self.fleet.left_out)):
            request.resting = set()  # better a model that rests than none
        best: Turn | None = None
        arm = shipped = ""
        try:
            while waiting and best is None:
                plan, before = waiting.pop(0), len(request.turns)
                arm = plan.spec
                best, shipped = await self._follow(plan, request)
                for turn in request.turns[before:]:
                    if best is None and turn.attempt.reason == "context_length":
                        waiting = self._longer_first(turn.attempt.model, request, waiting)
        finally:  # also of a request that was given up: its calls are paid for
            result = request.result(best, arm, shipped)
            self.metrics.book([(one.model, one.outcome == "success") for one in result.called], result.succeeded)
            self.sinks.publish(self._event(result))
        if best is None:
            raise ChainError(result)
        return result

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

    def _longer_first(self, name: str, request: Request, waiting: Sequence[Plan]) -> list[Plan]:
        """Put models for prompts that were too long for ``name`` before the arms that wait."""
        done = {turn.attempt.model for turn in request.turns}
        longer = [one for one in self.links[name].context_fallback if one in self.links and one not in done]
        return [*map(Alone, longer), *(plan for plan in waiting if plan.spec not in longer)]

    async def _follow(self, plan: Plan, request: Request) -> tuple[Turn | None, str]:
        """Take a request through a plan; return the turn whose answer is shipped, None where none passed, and why.

        The longest path is reserved, and what is not needed is released as soon as that is known.
        """
        held = {name: self.fleet.most(self.links[name], request.text, request.extra) for name in plan.members}
        if not await self.purse.reserve(sum(held.values())):
            return None, "spend_cap"
        way, turns, asked = Walk(plan, 1), dict[str, Turn](), list[str]()
        try:
            while (ask := way.ask(*await _read(plan, turns))).any():
                if turns and self.purse.is_over:
                    return _best(plan, turns), "spend_cap"
                request.n_round += 1
                now = [plan.members[m] for m in np.flatnonzero(ask[0])]
                asked += now
                async with asyncio.TaskGroup() as group:
                    for name in now:
                        group.create_task(self._turn(name, request, held, turns))
        finally:  # a call that was cut short may have been billed, one that was not made is not
            await self.purse.settle(sum(held.values()), sum(held.get(name, 0) for name in asked))
        own = turns[plan.members[int(way.ship[0])]]
        if own.passed:
            return own, "alone" if len(plan.members) == 1 else "settled" if way.round.max() == 1 else "went_on"
        best = _best(plan, turns)
        return best, "left_over" if best else ""

    async def _turn(self, name: str, request: Request, held: dict[str, int], turns: dict[str, Turn]) -> None:
        """Give a model its turn, and book what it cost."""
        started, number, most = time.perf_counter(), request.n_round, held[name]
        judged: _Judged = ("rejected", "cancelled", "", None)
        result, paid, cost = None, most, None
        try:
            if name in self.fleet.left_out:
                judged, paid, cost = ("skipped", "no_key", self.fleet.left_out[name], None), 0, 0.0
            elif name in request.resting:
                judged, paid, cost = ("skipped", "cooldown", "", None), 0, 0.0
            else:
                result = await self._ask(self.links[name], request)
                cost, paid = self.fleet.price(self.links[name], result, most)
                judged = await _judged(result, request.schema)
        finally:
            outcome, reason, detail, content = judged
            took_ms = 1000 * (time.perf_counter() - started)
            bound = None if cost is None and most == 0 else paid / NANO_PER_USD
            one = ChainAttempt(name, outcome, reason, took_ms, cost, detail, number, bound)
            turns[name] = Turn(one, result, content)
            request.turns.append(turns[name])
            await self.purse.settle(held.pop(name), paid)
            context = request.about.get("context")
            _log.info("%s%s: %s (%s, %.0f ms)", f"[{context}] " if context else "", name, outcome, reason, took_ms)

    async def _ask(self, link: Link, request: Request) -> CallResult:
        """Call a model, with the schema where its server knows schemas."""
        fields = {**request.extra, **link.extra}
        told = {}
        if request.schema is not None and link.name not in self._no_format:
            told = {"response_format": request.schema.response_format()}
        result = await self.fleet.ask(link, request.messages, {**fields, **told})
        if told and result.error in ("bad_request", "option"):
            # A server that knows no schemas: ask plainly, now and later.
            result = await self.fleet.ask(link, request.messages, fields)
            if result.ok:
                self._no_format.add(link.name)
        if self.cooldown and result.error not in OWN_FAULT:
            self.cooldown.book(link.name, failed=not result.ok)
        return result


_Judged = tuple[str, str, str, Any]
"""Outcome, reason, detail and content of an attempt."""


async def _judged(result: CallResult, schema: Schema | None) -> _Judged:
    if not result.ok:
        return "rejected", result.error or "error", result.message, None
    if schema is None:
        return judge_text(result.text)
    return await asyncio.to_thread(judge_text, result.text, schema)  # a client's schema may take its time


async def _read(plan: Plan, turns: Mapping[str, Turn]) -> tuple[Ints, NDArray[np.float32] | None]:
    """Return codes and cues of what the members of a plan answered; what did not pass is an empty response."""
    passed = [turns[name].content if name in turns and turns[name].passed else "" for name in plan.members]
    if len(passed) == 1:
        return np.full((1, 1), UNREAD), None
    texts = pa.array([one if isinstance(one, str) else json.dumps(one, sort_keys=True) for one in passed])
    answer = await asyncio.to_thread(read_answers, texts, len(passed))
    return answer, response_cues(texts, len(passed))


def _best(plan: Plan, turns: Mapping[str, Turn]) -> Turn | None:
    """Return the turn of the best of a plan's members whose answer passed."""
    found = (turns.get(plan.members[m]) for m in plan.better)
    return next((turn for turn in found if turn is not None and turn.passed), None)
