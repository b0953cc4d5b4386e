"""An unmodified openai client against ``route_live.py --serve``, in front of a real upstream server."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from fault_server import FaultServer

pytest.importorskip("starlette", reason="the ASGI stack is not installed (requirements-live.txt)")
pytest.importorskip("uvicorn", reason="the ASGI stack is not installed (requirements-live.txt)")

ROOT = Path(__file__).resolve().parents[2]
KEY = "sesame-upstream-0123456789"
TOKEN = "letmein-0123456789"
# How long anything may take on a busy machine: nothing here waits for so long unless it hangs.
PATIENCE_S = 60
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


@contextmanager
def serving(folder: Path, upstream: str, *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    (folder / "models.yaml").write_text(
        "models: {a: {price_per_million_input: 1, price_per_million_output: 2}, b: {}, 'c\"x': {}}"
    )
    (folder / "chain.yaml").write_text("chain: [{name: a, timeout_s: 60}, {name: b}]")
    words = [sys.executable, str(ROOT / "scripts/route_live.py"), "--serve", "--port", "0", "--base_url", upstream]
    words += ["--config", str(folder / "models.yaml"), "--chain_config", str(folder / "chain.yaml")]
    words += ["--log", str(folder / "events.jsonl"), "--max_body_bytes", "20000", *more]
    env = {**os.environ, "OPENAI_API_KEY": KEY, "DACR_TOKEN": TOKEN}
    with open(folder / "server.err", "w") as errors:
        process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+/v1", line)
        assert found, line + (folder / "server.err").read_text()
        yield found.group(), process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        process.stdout.close()


def plan(model: str, prompt: str, nth: int) -> object:
    if "slow" in prompt:
        return "hang"
    if "fall" in prompt:
        return "server_error" if model == "a" else {"text": "from b"}
    if "doom" in prompt:
        return "server_error"
    if "odd" in prompt:
        return "bad_request"
    if "json" in prompt:
        return {"text": 'Sure: {"answer": 4}'}
    return {"text": f"Echo of {prompt} with a zażółć", "delay": 0.05}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FaultServer, Path]]:
    folder = tmp_path_factory.mktemp("served")
    with FaultServer(plan).running() as upstream, serving(folder, upstream.url, "--concurrency", "60") as (url, _):
        yield url, upstream, folder


def raw(
    url: str, body: bytes, path: str = "/chat/completions", method: str = "POST", **headers: str
) -> tuple[int, dict, str]:
    host, port = re.search(r"//(.+):(\d+)", url).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    head = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/v1" + path if not path.startswith("//") else path[1:], body, head)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, dict(response.getheaders()), text


def metric(url: str, name: str) -> float:
    _, _, text = raw(url, b"", "//metrics", "GET")
    lines = [line for line in text.splitlines() if line.startswith(name + " ")]
    assert len(lines) <= 1
    return float(lines[0].split()[-1]) if lines else 0.0


def test_fifty_clients_at_once_streaming_and_not(served) -> None:
    url, _, _ = served

    async def one(client: openai.AsyncOpenAI, n: int) -> str:
        messages = [{"role": "user", "content": f"request {n}"}]
        if n % 2:
            answer = await client.chat.completions.create(model="dacr", messages=messages)
            assert answer.usage.total_tokens > 0 and answer.choices[0].finish_reason == "stop"
            return answer.choices[0].message.content
        pieces, usage = [], None
        stream = await client.chat.completions.create(
            model="dacr", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            usage = chunk.usage or usage
            pieces += [choice.delta.content or "" for choice in chunk.choices]
        assert usage.completion_tokens > 0 and len(pieces) >= 3
        return "".join(pieces)

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=url, api_key=TOKEN, max_retries=0, timeout=PATIENCE_S) as client:
            return await asyncio.gather(*(one(client, n) for n in range(50)))

    assert asyncio.run(run()) == [f"Echo of request {n} with a zażółć" for n in range(50)]
    assert metric(url, "dacr_in_flight") == 0


def test_headers_tell_who_answered_and_a_schema_is_kept(served) -> None:
    url, upstream, _ = served
    with openai.OpenAI(base_url=url, api_key=TOKEN, max_retries=0) as client:
        raw_answer = client.chat.completions.with_raw_response.create(
            model="dacr", messages=[{"role": "user", "content": "fall"}], max_tokens=33
        )
        assert (raw_answer.headers["x-dacr-model"], raw_answer.headers["x-dacr-attempts"]) == ("b", "2")
        assert raw_answer.parse().choices[0].message.content == "from b"
        assert upstream.requests[-1]["max_tokens"] == 33
        answer = client.chat.completions.create(
            model="dacr",
            messages=[{"role": "user", "content": "json"}],
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        )
        assert json.loads(answer.choices[0].message.content) == {"answer": 4}
        assert [model.id for model in client.models.list()] == ["dacr"]
        with pytest.raises(openai.InternalServerError, match="b: rejected") as failed:
            client.chat.completions.create(model="dacr", messages=[{"role": "user", "content": "doom"}])
        assert failed.value.status_code == 502
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def body_of(**more: object) -> bytes:
    return json.dumps({"model": "dacr", "messages": [{"role": "user", "content": "x"}], **more}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[1]", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 10_000, {}, 400),
        (body_of(messages=[]), {}, 400),
        (body_of(messages=[{"role": "king", "content": "x"}]), {}, 400),
        (body_of(messages=[{"role": "user"}]), {}, 400),
        (body_of(n=2), {}, 400),
        (body_of(tools=[{"type": "function"}]), {}, 400),
        (body_of(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "x"}}}), {}, 400),
        (body_of(user="\ud800"), {}, 400),
        (body_of(stream_options=["include_usage"], stream=True), {}, 400),
        (body_of(stream_options=True), {}, 400),
        (body_of(stream="yes"), {}, 400),
        (body_of(max_tokens=0), {}, 400),
        (body_of(max_completion_tokens=1.5), {}, 400),
        (body_of(temperature="hot"), {}, 400),
        (body_of(stop=[1]), {}, 400),
        (body_of(messages=[{"role": "user", "content": [1]}]), {}, 400),
        (body_of(temperature=float("nan")), {}, 400),
        (body_of(response_format={"type": "json_schema", "json_schema": {"schema": {"properties": 3}}}), {}, 400),
        (b"x" * 20_001, {}, 413),
        (body_of(), {"authorization": "Bearer nope"}, 401),
        (body_of(), {"authorization": ""}, 401),
        (body_of(), {"content_type": "text/plain"}, 415),
        (body_of(), {"host": "evil.example.org"}, 403),
    ],
)
def test_bad_requests_get_the_right_status(served, body: bytes, headers: dict, status: int) -> None:
    got, _, text = raw(served[0], body, **headers)
    assert got == status, text
    assert json.loads(text)["error"]["message"]


def test_a_field_that_is_missing_is_named_as_the_bodys(served) -> None:
    assert "the body: 'messages' is a required property" in raw(served[0], b'{"model": "dacr"}')[2]


def test_what_every_model_refuses_is_the_clients_to_mend(served) -> None:
    status, _, text = raw(served[0], body_of(messages=[{"role": "user", "content": "odd"}]))
    assert status == 400 and "unknown field" in text


def test_a_text_that_a_schema_asked_for_is_json(served) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    _, _, text = raw(served[0], body_of(messages=[{"role": "user", "content": "json"}], response_format=wanted))
    assert json.loads(json.loads(text)["choices"][0]["message"]["content"]) == {"answer": 4}


def test_a_chunked_body_over_the_limit_is_cut_off(served) -> None:
    host, port = re.search(r"//(.+):(\d+)", served[0]).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    head = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}", "transfer-encoding": "chunked"}
    connection.request("POST", "/v1/chat/completions", iter([b"x" * 5000] * 5), head, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_client_that_goes_away_frees_its_slot_and_the_call_upstream(served) -> None:
    url, upstream, _ = served
    host, port = re.search(r"//(.+):(\d+)", url).groups()
    for stream in (False, True):
        body = json.dumps({"model": "dacr", "stream": stream, "messages": [{"role": "user", "content": "slow"}]})
        request = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {TOKEN}\r\n"
        request += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        with socket.create_connection((host, int(port))) as client:
            before = len(upstream.requests)
            client.sendall(request.encode())
            wait_for(lambda before=before: len(upstream.requests) > before)
            assert metric(url, "dacr_in_flight") == 1
        wait_for(lambda: metric(url, "dacr_in_flight") == 0)
        wait_for(lambda: upstream.in_flight == 0)


def wait_for(condition) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_metrics_in_prometheus_text(served) -> None:
    url = served[0]
    # A request of its own: which other tests had this server before depends on the worker.
    counts = ['dacr_requests_total{outcome="success"}', 'dacr_attempts_total{model="a",outcome="success"}']
    counts += ["dacr_request_seconds_count", "dacr_decision_seconds_count"]
    before = [metric(url, name) for name in counts]
    assert raw(url, body_of())[0] == 200
    assert [metric(url, name) for name in counts] == [count + 1 for count in before], "counted before it is answered"
    status, headers, text = raw(url, b"", "//metrics", "GET")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"[^\"]*\"(,\w+=\"[^\"]*\")*\})? [0-9.e+-]+", line), line
    assert raw(url, b"", "//metrics", "GET", authorization="")[0] == 401
    assert raw(url, b"", "//health", "GET", authorization="")[0] == 200


def test_slots_are_limited_and_no_secret_is_written(tmp_path: Path) -> None:
    with FaultServer(plan).running() as upstream, serving(tmp_path, upstream.url, "--concurrency", "1") as (url, _):
        host, port = re.search(r"//(.+):(\d+)", url).groups()
        body = body_of(messages=[{"role": "user", "content": "slow"}])
        request = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {TOKEN}\r\n"
        request += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port))) as client:
            client.sendall(request.encode() + body)
            wait_for(lambda: len(upstream.requests) == 1)
            status, headers, _ = raw(url, body_of())
            assert (status, headers["retry-after"]) == (429, "1")
        wait_for(lambda: raw(url, body_of())[0] == 200)
    assert all(one["authorization"] == f"Bearer {KEY}" for one in upstream.headers)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert KEY not in written and TOKEN not in written
    assert "Traceback" not in (tmp_path / "server.err").read_text()
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert events and events[-1]["router"] == "chain" and events[-1]["decision_ms"] < 1000


def test_a_plan_is_served_and_streaming_clients_get_the_shipped_answer(tmp_path: Path) -> None:
    def gated(model: str, prompt: str, nth: int) -> object:
        return {"text": {"a": "7", "b": "7" if "same" in prompt else "8"}.get(model, "It is 9, says z.")}

    flags = ["--router", "gate(a, b > z)"]
    with FaultServer(gated).running() as upstream, serving(tmp_path, upstream.url, *flags) as (url, _):
        told = []
        for prompt in ("same", "other"):
            messages = [{"role": "user", "content": prompt}]
            _, headers, text = raw(url, body_of(messages=messages))
            told.append([headers[f"x-dacr-{name}"] for name in ("model", "arm", "shipped", "attempts")])
            _, headers, lines = raw(url, body_of(messages=messages, stream=True))
            told.append([headers[f"x-dacr-{name}"] for name in ("model", "arm", "shipped", "attempts")])
            events = [json.loads(line[6:]) for line in lines.splitlines() if line.startswith("data: {")]
            streamed = "".join(one["choices"][0]["delta"].get("content", "") for one in events)
            assert streamed == json.loads(text)["choices"][0]["message"]["content"] in ("7", "It is 9, says z.")
            assert json.loads(text)["usage"]["completion_tokens"] == len(streamed.split()), "of the answer shipped"
    agreed, fallback = ["b", "gate(a, b > z)", "settled", "2"], ["z", "gate(a, b > z)", "went_on", "3"]
    assert told == [agreed, agreed, fallback, fallback] and len(upstream.requests) == 10
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(one["shipped"], [turn["round"] for turn in one["attempts"]]) for one in events] == [
        ("settled", [1, 1]), ("settled", [1, 1]), ("went_on", [1, 1, 2]), ("went_on", [1, 1, 2]),
    ]  # fmt: skip


def test_where_the_money_is_used_up_clients_are_told_so(tmp_path: Path) -> None:
    flags = ["--max_cost_usd", "0.001", "--max_output_tokens", "5"]
    with FaultServer(plan).running() as upstream:
        with (
            pytest.raises(AssertionError, match="needs both prices of model 'b'"),
            serving(tmp_path, upstream.url, *flags),
        ):
            pass
        own = ["--router", "gate(a, ollama/p > ollama/q)", *flags]
        with serving(tmp_path, upstream.url, *own) as (url, _):
            assert raw(url, body_of(max_tokens=400))[0] == 200
            status, _, text = raw(url, body_of(max_tokens=4000))
    assert status == 402 and json.loads(text)["error"]["code"] == "spend_cap" and "--max_cost_usd" in text
