"""One request through a selector and the chain: decide, call, record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema
from dacr.live.chain import Chain, ChainError, ChainResult, Link
from dacr.live.cooldown import Cooldown
from dacr.live.fleet import Fleet, load_chain
from dacr.live.prometheus import Metrics
from dacr.live.selectors import ChainSelector, RulesSelector, SavedSelector, Selector, last_user_text, rule_links
from dacr.live.sink import JsonlSink, RedisSink, Sink, Sinks
from dacr.replay.saved import load_router
from dacr.routers.rules.engine import load_rules


class Gateway:
    """Routes requests; owns the clients, the sinks and the metrics."""

    def __init__(self, selector: Selector, chain: Chain, fleet: Fleet, sinks: Sinks) -> None:
        self.selector, self.chain, self.fleet, self.sinks = selector, chain, fleet, sinks
        self.metrics = Metrics()

    async def answer(
        self,
        messages: Sequence[Mapping[str, Any]],
        schema: Schema | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> ChainResult:
        """Return the first answer that passes.

        Raises
        ------
        ChainError
            Every model failed, or no model may be called.
        """
        prompt = last_user_text(messages)
        self.selector.prepare(prompt)
        started = time.perf_counter()
        order, why = self.selector.order(prompt)
        decision_s = time.perf_counter() - started
        about = {"router": self.selector.name, "decision_ms": 1000 * decision_s, **why}
        self.metrics.decision(decision_s)
        try:
            result = await self.chain.run(messages, schema, order, extra, about)
        except ChainError as error:
            self.metrics.request(error.result)
            self.selector.told(why, error.result)
            raise
        self.metrics.request(result)
        self.selector.told(why, result)
        return result

    async def aclose(self) -> None:
        """Release connections and write what the sinks still hold."""
        await self.fleet.aclose()
        self.sinks.close()
        self.selector.close()


def describe(result: ChainResult) -> dict[str, Any]:
    """Return a result as the JSON that is printed: who answered, after which attempts, cost and latency."""
    return {
        "content": result.content,
        "model_used": result.model_used,
        "succeeded": result.succeeded,
        "attempts": [asdict(attempt) for attempt in result.attempts],
        "cost_usd": result.cost_usd,
        "latency_ms": result.latency_ms,
        **result.about,
    }


def build(
    router: str,
    *,
    config: Path,
    chain_config: Path,
    rules_config: Path,
    base_url: str | None = None,
    api_key_env: str | None = None,
    allow_insecure: bool = False,
    timeout_s: float = 30.0,
    legacy: bool = False,
    log: Path | None = None,
    redis_url: str | None = None,
    decision_log: Path | None = None,
) -> Gateway:
    """Build the gateway of ``route_live``: ``router`` is chain, rules, or the file of a saved router."""
    known = catalogues.load(config)
    cooldown = None
    selector: Selector
    if router == "chain":
        links, rule = load_chain(chain_config)
        cooldown = Cooldown(rule) if rule else None
        selector = ChainSelector([link.name for link in links])
    elif router == "rules":
        engine = load_rules(rules_config, legacy)
        links, known = rule_links(engine, known)
        selector = RulesSelector(engine, decision_log=decision_log)
    else:
        saved = load_router(router)
        links = [Link(name, timeout_s) for name in saved.models]
        selector = SavedSelector(saved)
    fleet = Fleet.of(known, links, base_url, api_key_env, allow_insecure)
    made: list[Sink] = []
    if log is not None:
        made.append(JsonlSink(log))
    if redis_url:
        made.append(RedisSink(redis_url))
    sinks = Sinks(made)
    return Gateway(selector, Chain(links, fleet.ask, fleet.price, sinks, cooldown, legacy), fleet, sinks)
