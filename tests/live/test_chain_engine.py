"""The eleven behaviours of the fallback chain, against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from fault_server import FaultServer
from lag import Lag

from dacr.core.errors import UserError
from dacr.data.prices import FREE, Price
from dacr.live.answers import Schema
from dacr.live.catalogue import Catalogue, CatalogueEntry
from dacr.live.chain import Chain
from dacr.live.fleet import Fleet, Link, load_chain
from dacr.live.request import ChainError, ChainResult
from dacr.live.telemetry import Cooldown, CooldownRule

SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
CATALOGUE = Catalogue({n: CatalogueEntry(n, n, price=Price(1.0, 2.0, 1.0)) for n in ("a", "b", "c")})


class Recorder:
    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.closed = False

    def publish(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True


def run(
    plan: Mapping[str, object],
    schema: object = None,
    times: int = 1,
    names: tuple[str, ...] = ("a", "b", "c"),
    lag: Lag | None = None,
    **options: Any,
) -> tuple[ChainResult | ChainError, Chain, FaultServer]:
    """Run a chain of a, b, c where ``plan`` says what each model does.

    Only what never answers has a short timeout (.3 s): whatever does, may take as long as a busy machine makes it.
    """
    first_s = 0.3 if plan.get("a") in ("hang", "drip") else 60.0
    links = [Link("a", first_s, context_fallback=("c",)), Link("b", 60.0), Link("c", 60.0)][: len(names)]

    async def go(url: str) -> tuple[ChainResult | ChainError, Chain]:
        fleet = Fleet.of(CATALOGUE, links, base_url=url)
        chain = Chain(links, fleet, **options)
        outcome: ChainResult | ChainError
        async with lag or Lag():
            for _ in range(times):
                try:
                    outcome = await chain.route([{"role": "user", "content": "how many?"}], schema)
                except ChainError as error:
                    outcome = error
        await chain.close()
        return outcome, chain

    with FaultServer(lambda model, prompt, nth: plan.get(model, "ok")).running() as server:
        outcome, chain = asyncio.run(go(server.url))
    return outcome, chain, server


def outcomes(result: ChainResult | ChainError) -> list[tuple[str, str]]:
    result = result.result if isinstance(result, ChainError) else result
    return [(one.model, one.outcome) for one in result.attempts]


def test_1_the_first_model_succeeds() -> None:
    result, _, server = run({"a": {"text": "42"}})
    assert (result.model_used, result.content, result.raw_text, result.succeeded) == ("a", "42", "42", True)
    assert outcomes(result) == [("a", "success")] and len(server.requests) == 1
    assert result.cost_usd == pytest.approx((2 * 1 + 1 * 2) / 1e6)


def test_2_fallback_on_bad_json() -> None:
    result, *_ = run({"a": {"text": "forty-two"}, "b": {"text": '{"answer": 42}'}}, SCHEMA)
    assert outcomes(result) == [("a", "invalid"), ("b", "success")]
    assert result.content == {"answer": 42}


def test_3_fallback_on_refusal_is_paid() -> None:
    result, *_ = run({"a": {"text": "I can’t help with that."}, "b": {"text": "42"}})
    assert outcomes(result) == [("a", "rejected"), ("b", "success")]
    assert result.attempts[0].reason == "refusal" and result.attempts[0].cost_usd > 0


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_4_fallback_on_timeout_not_a_second_later(fault: str) -> None:
    lag = Lag()
    result, *_ = run({"a": fault}, lag=lag)
    assert outcomes(result) == [("a", "rejected"), ("b", "success")]
    assert result.attempts[0].reason == "timeout"
    late_ms = 1000 * lag.total_s
    assert 299 < result.attempts[0].latency_ms < 600 + late_ms
    assert result.latency_ms < 1300 + late_ms


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "reset", "truncated", "auth"])
def test_5_fallback_on_api_error(fault: str) -> None:
    result, *_ = run({"a": fault})
    assert outcomes(result) == [("a", "rejected"), ("b", "success")]


def test_6_all_fail_the_error_carries_the_log_and_the_event_went_out_first() -> None:
    sink = Recorder()
    error, *_ = run({"a": "hang", "b": "server_error", "c": {"text": "I won't."}}, sinks=[sink])
    assert isinstance(error, ChainError)
    for words in ("a: rejected (timeout", "b: rejected (server_error", "c: rejected (refusal"):
        assert words in str(error)
    (event,) = sink.events
    assert (event["model_used"], event["succeeded"], len(event["attempts"])) == ("none", False, 3)


def test_7_the_schema_is_checked_and_sent_and_a_bad_one_refused_when_built() -> None:
    result, _, server = run({"a": {"text": '{"answer": "x"}'}, "b": {"text": '{"answer": 1}'}}, SCHEMA)
    assert outcomes(result)[0] == ("a", "invalid") and "answer" in result.attempts[0].detail
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    with pytest.raises(UserError, match="not valid"):
        Schema({"type": "objekt"})
    assert Schema({"$ref": "http://127.0.0.1:9/x"}).problem(1).startswith("the schema can't be applied")


def test_8_fences() -> None:
    result, *_ = run({"a": {"text": 'Here:\n```JSON\n{"answer": 7}\n```\nHave fun!'}}, SCHEMA)
    assert result.content == {"answer": 7} and result.model_used == "a"


def test_9_counters() -> None:
    _, chain, _ = run({"a": "server_error"}, names=("a", "b"))
    assert chain.metrics.snapshot() == {
        "a": {"success": 0, "fallback": 1, "error": 0, "success_rate": 0.0},
        "b": {"success": 1, "fallback": 0, "error": 0, "success_rate": 1.0},
    }
    _, chain, _ = run({"a": "server_error", "b": "server_error"}, names=("a", "b"))
    assert [counts["error"] for counts in chain.metrics.snapshot().values()] == [1, 1]
    assert Chain([Link("a")], Fleet({})).metrics.success_rate("a") is None


def test_10_the_event() -> None:
    sink = Recorder()
    run({}, sinks=[sink])
    (event,) = sink.events
    assert {"model_used", "attempts", "latency_ms", "succeeded", "metrics_snapshot", "timestamp"} <= set(event)
    assert not {"content", "raw_text"} & set(event) and event["metrics_snapshot"]["a"]["success"] == 1
    assert time.time() - 60 < event["timestamp"] <= time.time()


def test_11_a_failing_sink_changes_nothing_and_close_releases() -> None:
    class Broken(Recorder):
        def publish(self, event: Mapping[str, Any]) -> None:
            raise OSError("disk full")

    sink = Broken()
    result, chain, server = run({}, sinks=[sink])
    assert result.succeeded and sink.closed and chain.sinks.failures == 1
    assert server.in_flight == 0


def test_a_dead_model_rests_and_is_tried_again_later() -> None:
    now = [0.0]
    rest = Cooldown(CooldownRule(rest_s=5, failures=3), clock=lambda: now[0])
    result, _, server = run({"a": "server_error"}, times=5, cooldown=rest)
    assert server.seen["a", "how many?"] == 3
    assert outcomes(result) == [("a", "skipped"), ("b", "success")]
    assert rest.rests("a") and not rest.rests("b")
    now[0] = 5.0
    assert not rest.rests("a")
    everything = Cooldown(CooldownRule(failures=1))
    _, _, server = run(dict.fromkeys("abc", "server_error"), times=2, cooldown=everything)
    assert len(server.requests) == 6, "a chain whose models all rest tries them all the same"


def test_more_than_half_of_five_calls_is_too_much() -> None:
    rest = Cooldown(CooldownRule(failures=99), clock=lambda: 0.0)
    for failed in (True, False, True, False):
        rest.book("a", failed)
    assert not rest.rests("a")
    rest.book("a", True)
    assert rest.rests("a")


def test_a_prompt_that_is_too_long_goes_to_the_model_named_for_it() -> None:
    result, *_ = run({"a": "context"})
    assert outcomes(result) == [("a", "rejected"), ("c", "success")]


def test_a_server_without_schemas_is_asked_plainly() -> None:
    plan = {"a": {"text": '{"answer": 1}'}}

    class Old(FaultServer):
        pass

    links = [Link("a", 60.0)]

    async def go(server: FaultServer) -> ChainResult:
        fleet = Fleet.of(CATALOGUE, links, base_url=server.url)
        chain = Chain(links, fleet)
        for _ in range(2):
            result = await chain.route([{"role": "user", "content": "x"}], SCHEMA)
        await fleet.aclose()
        return result

    server = FaultServer()
    server.plan = lambda *_: "bad_request" if "response_format" in server.requests[-1] else plan["a"]
    with server.running():
        result = asyncio.run(go(server))
    assert result.content == {"answer": 1}
    assert ["response_format" in one for one in server.requests] == [True, False, False]


def test_a_local_model_needs_no_entry_and_its_server_may_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_BASE", "http://127.0.0.1:9999")
    entry, endpoint = Fleet.of(CATALOGUE, [Link("ollama/qwen2.5:7b")]).targets["ollama/qwen2.5:7b"]
    assert (endpoint.base_url, entry.api_name, entry.price) == ("http://127.0.0.1:9999/v1", "qwen2.5:7b", FREE)


def test_the_default_chain_is_sound(tmp_path) -> None:
    links, rule = load_chain("configs/chain.yaml")
    assert [link.timeout_s for link in links] == [8, 30, 30] and rule == CooldownRule()
    path = tmp_path / "chain.yaml"
    for text, words in [
        ("chain: []", "no 'chain:'"),
        ("chain: [{name: a, timout: 3}]", "entry 1: unknown key 'timout'; did you mean 'timeout_s'"),
        ("chain: [{name: a, timeout_s: 0}]", "above 0"),
        ("chain: [{name: a}, {name: a}]", "twice"),
        ("chain: [{name: a, context_fallback: [b]}]", "not in the chain"),
        ("chain: [{name: a}]\ncooldown: {sleep: 3}", "cooldown: unknown key 'sleep'; known: rest_s"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            load_chain(path)
