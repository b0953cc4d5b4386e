"""The chain as a library: one request after the other, without the command line."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer, reply

from dacr.core.errors import UserError
from dacr.live import catalogue
from dacr.live.chain import Chain
from dacr.live.fleet import Fleet, Link
from dacr.live.request import ChainError, ChainResult
from dacr.live.telemetry import JsonlSink

MESSAGES = [{"role": "user", "content": "how many?"}]
CHAIN = "chain: [{name: a, timeout_s: 60}, {name: b, timeout_s: 60}]\ncooldown: {rest_s: 60, failures: 3}"
CATALOGUE = "models: {a: {price_per_million_input: 1, price_per_million_output: 2}, b: {}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    return tmp_path


def routed(folder: Path, plan: object, times: int = 1, **more: Any) -> tuple[list[ChainResult], Chain, FaultServer]:
    async def go(url: str) -> tuple[list[ChainResult], Chain]:
        chain = Chain.load(folder / "chain.yaml", folder / "models.yaml", url, more.pop("sinks", ()))
        chain.sink_texts = more.pop("sink_texts", False)
        results = []
        for _ in range(times):
            try:
                results.append(await chain.route(MESSAGES, **more))
            except ChainError as error:
                results.append(error.result)
        await chain.close()
        return results, chain

    step = plan if callable(plan) else lambda model, *_: plan.get(model, "ok")
    with FaultServer(step).running() as server:
        results, chain = asyncio.run(go(server.url))
    return results, chain, server


def test_a_result_and_what_is_counted(folder: Path) -> None:
    (result,), chain, server = routed(folder, {"a": "server_error"})
    assert (result.content, result.raw_text, result.model_used) == ("The answer is B.", "The answer is B.", "b")
    assert result.succeeded and result.latency_ms > 0 and len(result.attempts) == 2
    assert not {"content", "raw_text"} & set(result.to_dict()) and json.dumps(result.to_dict())
    assert chain.metrics.success_rate("b") == 1.0 and chain.metrics.success_rate("a") == 0.0
    assert chain.metrics.success_rate("nobody") is None and chain.metrics.snapshot()["a"]["fallback"] == 1
    assert server.in_flight == 0, "closed"


def test_the_error_is_a_runtime_error_with_the_attempts_as_json(folder: Path) -> None:
    async def go(url: str) -> None:
        chain = Chain.load(folder / "chain.yaml", folder / "models.yaml", url)
        with pytest.raises(RuntimeError, match="a: rejected") as failed:
            await chain.route(MESSAGES)
        log = json.loads(str(failed.value).partition("attempts: ")[2])
        assert [(one["model"], one["reason"]) for one in log] == [("a", "server_error"), ("b", "server_error")]
        await chain.close()

    with FaultServer(lambda *_: "server_error").running() as server:
        asyncio.run(go(server.url))


def test_a_context_labels_one_line_per_attempt(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dacr.live.chain"):
        (result,), *_ = routed(folder, {"a": "server_error"}, context="greeting")
    lines = [record.getMessage() for record in caplog.records if record.name == "dacr.live.chain"]
    assert len(lines) == 2 and all(line.startswith("[greeting] ") for line in lines)
    assert result.about["context"] == "greeting"


CANARY = "canary-4711"


def events_of(folder: Path, **more: Any) -> str:
    """Return all that a file and the log lines get where every text holds the canary."""
    texts = iter([{"text": f'{{"a": "{CANARY}"}}'}, reply({"error": {"message": CANARY}}, "400 No")] * 9)
    path = folder / "events.jsonl"
    path.unlink(missing_ok=True)
    messages = [{"role": "user", "content": CANARY}]

    async def go(url: str) -> None:
        chain = Chain.load(folder / "chain.yaml", folder / "models.yaml", url, [JsonlSink(path)])
        chain.sink_texts = more.get("sink_texts", False)
        for schema in (None, {"properties": {"a": {"type": "integer"}}}, None):
            try:
                await chain.route(messages, schema)
            except ChainError as error:
                assert CANARY in str(error), "the caller is told"
        await chain.close()

    with FaultServer(lambda *_: next(texts)).running() as server:
        asyncio.run(go(server.url))
    return path.read_text()


def test_no_text_leaves_by_a_sink_or_a_log_line_unless_asked(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "dacr"):
        events = events_of(folder)
    assert events.count("\n") == 3 and CANARY not in events
    assert not any(CANARY in record.getMessage() for record in caplog.records if record.name.startswith("dacr"))
    assert events_of(folder, sink_texts=True).count(CANARY) >= 3


@pytest.mark.parametrize("fault", ["context", "bad_request"])
def test_a_requests_own_fault_lets_no_model_rest(folder: Path, fault: str) -> None:
    results, *_ = routed(folder, lambda model, prompt, nth: fault if model == "a" and nth < 4 else "ok", times=4)
    assert [result.model_used for result in results] == ["b", "b", "b", "a"]


def test_a_filtered_answer_is_no_success(folder: Path) -> None:
    half = {"choices": [{"message": {"content": "Half"}, "finish_reason": "content_filter"}]}
    (result,), *_ = routed(folder, {"a": reply(half)})
    assert [(one.outcome, one.reason) for one in result.attempts] == [("rejected", "filtered"), ("success", "")]
    assert result.cost_usd is None, "it may have been billed, and nobody said for what"


def test_a_link_without_its_key_is_skipped_when_it_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    known = catalogue.Catalogue({"cloud": catalogue.CatalogueEntry("cloud", "cloud", "openai", catalogue.FREE)})

    async def go(url: str) -> tuple[ChainResult, ChainError]:
        links = [Link("near", 60.0, api_base=url), Link("cloud", 60.0), Link("far", 60.0, api_base=url)]
        chain = Chain(links, Fleet.of(known, links))
        assert list(chain.fleet.left_out) == ["cloud"] and "OPENAI_API_KEY" in chain.fleet.left_out["cloud"]
        first = await chain.route(MESSAGES)
        with pytest.raises(ChainError) as failed:
            await chain.route([{"role": "user", "content": "doom"}])
        await chain.close()
        return first, failed.value

    with FaultServer(lambda model, prompt, nth: "server_error" if prompt == "doom" else "ok").running() as server:
        first, failed = asyncio.run(go(server.url))
    assert [one.model for one in first.attempts] == ["near"]
    assert [(one.model, one.outcome) for one in failed.result.attempts] == [
        ("near", "rejected"), ("cloud", "skipped"), ("far", "rejected")
    ]  # fmt: skip
    assert failed.result.attempts[1].reason == "no_key" and len(failed.result.called) == 2
    with pytest.raises(UserError, match="OPENAI_API_KEY is empty"):
        Fleet.of(known, [Link("cloud")])


def test_a_schema_that_takes_for_ever_holds_up_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dacr.live.answers._CHECK_S", 0.25)  # each pattern is searched for so long
    slow = {
        "properties": {"a": {"pattern": "^(a+)+$"}},
        "patternProperties": {"^(b+)+$": {}},
        "additionalProperties": 1,
    }
    slow["additionalProperties"] = {"pattern": "^(c|c)*$"}
    text = json.dumps({"a": "a" * 40 + "!", "b" * 40 + "!": 1, "x": "c" * 60 + "!"})
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.01)

    async def go(url: str) -> ChainResult:
        chain = Chain.load(folder / "chain.yaml", folder / "models.yaml", url)
        ticking = asyncio.create_task(tick())
        with pytest.raises(ChainError) as failed:
            await chain.route(MESSAGES, slow)
        ticking.cancel()
        await chain.close()
        return failed.value.result

    with FaultServer(lambda *_: {"text": text}).running() as server:
        result = asyncio.run(go(server.url))
    assert [one.outcome for one in result.attempts] == ["invalid", "invalid"]
    assert result.latency_ms < 60_000 and len(ticks) > 20, "the loop went on"
