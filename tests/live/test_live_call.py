from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fault_server import FaultServer, reply
from hypothesis import given, settings
from hypothesis import strategies as st
from lag import Lag

from dacr.core.errors import UserError
from dacr.core.journal import Journal
from dacr.live import catalogue
from dacr.live.call import CallResult, call
from dacr.live.catalogue import CatalogueEntry
from dacr.live.endpoint import Endpoint, NoKeyError, checked_base_url, resolve
from dacr.live.schedule import chosen_models, plan

TIMEOUT_S = 0.3
MESSAGES = [{"role": "user", "content": "hi"}]


def one_call(fault: object, lag: Lag | None = None) -> CallResult:
    # Only what never ends is cut off: all else may take as long as a busy machine makes it.
    timeout_s = TIMEOUT_S if fault in ("drip", "hang") else 60.0

    async def run(url: str) -> CallResult:
        endpoint = Endpoint(url, "key")
        async with endpoint.client() as client, lag or Lag():
            return await call(client, endpoint, "m", MESSAGES, timeout_s=timeout_s)

    with FaultServer(lambda *_: fault, retry_after="7").running() as server:
        return asyncio.run(run(server.url))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("ok", None),
        ("plain", None),
        ("no_finish", None),
        ("no_end", None),
        ("plain_error", "server_error"),
        ("odd_json", "truncated"),
        ("rate_limit", "rate_limit"),
        ("server_error", "server_error"),
        ("reset", "connection"),
        ("truncated", "truncated"),
        ("cut_body", "truncated"),
        ("cut_stream", "truncated"),
        ("early_end", "truncated"),
        ("stream_error", "server_error"),
        ("drip", "timeout"),
        ("hang", "timeout"),
        ("auth", "auth"),
        ("not_found", "not_found"),
        ("context", "context_length"),
        ("bad_request", "bad_request"),
    ],
)
def test_each_fault_has_its_class(fault: str, error: str | None) -> None:
    lag = Lag()
    result = one_call(fault, lag)
    assert result.error == error, "other faults than timeouts are seen before the timeout"
    if error == "timeout":
        assert TIMEOUT_S <= result.latency_s < TIMEOUT_S + 0.1 + lag.total_s
    assert (result.text == "The answer is B.") == (error is None)
    assert result.retry_after_s == (7.0 if fault == "rate_limit" else None)


@pytest.mark.parametrize("fault", ["drip", "hang"])
def test_a_call_that_is_given_up_is_closed_at_once(fault: str) -> None:
    async def run(server: FaultServer) -> None:
        endpoint = Endpoint(server.url, "key")
        async with endpoint.client() as client:
            while not server.requests:  # on a busy machine the time may be over before the request has arrived
                assert (await call(client, endpoint, "m", MESSAGES, timeout_s=TIMEOUT_S)).error == "timeout"
            async with asyncio.timeout(60):  # the client, which would close it at its end, is still open
                while server.in_flight:
                    await asyncio.sleep(0.002)

    with FaultServer(lambda *_: fault).running() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("fault", ["ok", "plain", "rate_limit"])
def test_a_connection_is_used_again(fault: str) -> None:
    async def run(url: str) -> None:
        endpoint = Endpoint(url, "key")
        async with endpoint.client() as client:
            for _ in range(3):
                await call(client, endpoint, "m", MESSAGES, timeout_s=60)

    with FaultServer(lambda *_: fault).running() as server:
        asyncio.run(run(server.url))
    assert (len(server.requests), server.connections) == (3, 1)


def test_an_id_goes_along() -> None:
    async def run(url: str) -> None:
        endpoint = Endpoint(url, "key")
        async with endpoint.client() as client:
            await call(client, endpoint, "m", MESSAGES, timeout_s=60, request_id="mine")
            await call(client, endpoint, "m", MESSAGES, timeout_s=60)

    with FaultServer().running() as server:
        asyncio.run(run(server.url))
    assert [head.get("x-client-request-id") for head in server.headers] == ["mine", None]


def test_a_redirect_is_not_followed() -> None:
    assert not one_call("redirect").ok


def test_tokens_are_estimated_where_the_server_tells_no_usage() -> None:
    result = one_call({"text": "x" * 40, "usage": False})
    assert (result.output_tokens, result.tokens_estimated) == (10, True)


def test_a_refused_connection_is_a_connection_error() -> None:
    async def run() -> CallResult:
        endpoint = Endpoint("http://127.0.0.1:9/v1", "key")
        async with endpoint.client() as client:
            return await call(client, endpoint, "m", MESSAGES, timeout_s=60)

    assert asyncio.run(run()).error == "connection"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.data())
def test_a_journal_torn_anywhere_keeps_every_whole_line(
    tmp_path_factory, texts: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "log.jsonl"
    with Journal(path) as journal:
        for number, text in enumerate(texts):
            journal.append({"n": number, "text": text})
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    with Journal(path) as journal:
        kept = [row["n"] for row in journal.rows]
        assert whole[:cut].count(b"\n") <= len(kept) <= whole[:cut].count(b"\n") + 1
        assert kept == list(range(len(kept)))
        journal.append({"n": 99})
    assert [json.loads(line)["n"] for line in path.read_bytes().splitlines()] == [*kept, 99]


def test_a_journal_has_one_writer_and_refuses_rubbish_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Journal(path), pytest.raises(UserError, match="another process"):
        Journal(path)
    path.write_text('{"a": 1}\nrubbish\n{"a": 2}\n')
    with pytest.raises(UserError, match="line 2"):
        Journal(path)


def test_the_draw_of_models_belongs_to_the_event() -> None:
    qids = [f"q{i}" for i in range(200)]
    drawn = chosen_models(qids, ["a", "b", "c", "d"], 2, seed=1)
    assert chosen_models(qids[::-1], ["a", "b", "c", "d"], 2, seed=1) == drawn[::-1]
    assert all(len(set(names)) == 2 for names in drawn)
    share = sum("a" in names for names in drawn) / 200
    assert 0.4 < share < 0.6
    assert chosen_models(qids, ["a"], 5, seed=1) == [["a"]] * 200


def test_a_query_that_arrives_twice_is_called_once_at_its_first_arrival() -> None:
    events = [{"qid": q, "prompt": "p", "arrival_s": t} for q, t in (("x", 4.0), ("y", 6.0), ("x", 9.0))]
    jobs = plan(events, ["m"], time_warp=2.0)
    assert [(job.qid, job.due_s) for job in jobs] == [("x", 0.0), ("y", 1.0)]


def test_addresses() -> None:
    assert checked_base_url("http://[::1]:8000/v1/") == "http://[::1]:8000/v1"
    assert checked_base_url("http://example.org", allow_insecure=True) == "http://example.org"
    for bad in ("http://127.0.0.1.example.org", "https://x?key=1", "https://", "localhost:8000", "http://[::1"):
        with pytest.raises(UserError):
            checked_base_url(bad)


def test_the_provider_names_address_and_key(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models: {m: {provider: openai, aliases: [n]}, local: {provider: ollama}}")
    known = catalogue.load(path)
    endpoint = resolve(known, known.get("n"), None, None, environ={"OPENAI_API_KEY": "abc"})
    assert endpoint.base_url == "https://api.openai.com/v1" and "abc" not in repr(endpoint)
    both = {"OPENAI_API_KEY": "abc", "OPENAI_BASE_URL": "https://proxy.example.org/v1/"}
    assert resolve(known, known.get("m"), None, None, environ=both).base_url == "https://proxy.example.org/v1"
    assert resolve(known, known.get("m"), "https://here.example.org/v1", None, environ=both).base_url.count("here")
    for variable, model in (("OPENAI_BASE_URL", "m"), ("OLLAMA_API_BASE", "local")):
        with pytest.raises(UserError, match=f"^{variable} should look like"):
            resolve(known, known.get(model), None, None, environ={variable: "127.0.0.1:1/v1"})
    with pytest.raises(NoKeyError, match="OPENAI_API_KEY is empty"):
        resolve(known, known.get("m"), None, None, environ={})
    moved = resolve(known, known.get("local"), None, None, environ={"OLLAMA_API_BASE": "http://127.0.0.1:1"})
    assert moved.base_url == "http://127.0.0.1:1/v1"
    assert known.get("m") == CatalogueEntry("m", "m", "openai", aliases=("n",))
    path.write_text("providers: {openai: {base_url: 'https://own.example.org/v1'}}\nmodels: {m: {provider: openai}}")
    own = catalogue.load(path)
    assert "own" in resolve(own, own.get("m"), None, None, environ=both).base_url, "a file's own word is nearer"
    for text in ("models: [", "a: 1", "models: {m: {price_per_million_input: -1}}", "models: {m: 3}"):
        path.write_text(text)
        with pytest.raises(UserError):
            catalogue.load(path)


@pytest.mark.parametrize("zone", ["", " GMT", " -0000", " +0000"])
def test_a_date_to_retry_after_is_in_gmt(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        when = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S") + zone
        step = reply({"error": {"message": "slow down"}}, "429 Slow", head=f"retry-after: {when}\r\n")
        assert 20 < one_call(step).retry_after_s <= 31
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        ("retry-after-ms: 1500\r\n", 1.5),
        ("retry-after-ms: nan\r\nretry-after: 9\r\n", 9.0),
        ("retry-after: inf\r\n", None),
        ("retry-after: -3\r\n", 0.0),
        ("retry-after: soon\r\n", None),
        ("", None),
    ],
)
def test_a_number_that_is_none_falls_through(head: str, seconds: float | None) -> None:
    step = reply({"error": {"message": "slow down"}}, "429 Slow", head=head)
    assert one_call(step).retry_after_s == seconds
