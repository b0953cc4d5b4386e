"""What servers send: event streams in every framing, answers in every shape, counts of tokens that can't be true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fault_server import FaultServer, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.live.call import CallResult, call
from dacr.live.endpoint import Endpoint
from dacr.live.wire import Answer, Complaint, Filtered, Truncated, read_answer

MESSAGES = [{"role": "user", "content": "What is two and two?"}]


def read(body: bytes, size: int = 7) -> Answer:
    """Read a body that arrives in chunks of so many bytes."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    answer = Answer(0.0)
    asyncio.run(read_answer(chunks(), answer))
    return answer


def piece(content: object, finish: str | None = None, **more: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more})


def whole(content: object, finish: str = "stop", usage: object = None, **choice: Any) -> dict:
    one = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish, **choice}
    return {"choices": [one], "usage": usage}


def event_of_lines(one: str) -> str:
    """Return an event whose data stand in several lines."""
    return "".join(f"data: {line}\n" for line in json.dumps(json.loads(one), indent=1).splitlines()) + "\n"


PIECES = (piece("Fo"), piece("ur"), piece("", "stop"))
PLAIN = "".join(f"data: {one}\n\n" for one in PIECES) + "data: [DONE]\n\n"


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("data: ", "data:"),
        "\ufeff" + PLAIN,
        ": ping\n\n" + PLAIN.replace("data: ", ": still here\nid: 3\nevent: message\ndata: ") + ": bye\n",
        "retry: 10\n\n" + PLAIN,
        PLAIN.removesuffix("\n\n"),
        PLAIN.replace("data: [DONE]\n\n", ""),
        PLAIN.replace("\n\n", "\n"),
        "".join(event_of_lines(one) for one in PIECES),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_every_framing_of_an_event_stream(body: str, size: int) -> None:
    assert read(body.encode(), size).text == "Four"


@given(st.text(alphabet="a\u2028\u2029\x85\x0b\x0c\x1c\U0001f600é", max_size=20), st.integers(1, 9))
def test_only_lf_cr_and_crlf_end_a_line(text: str, size: int) -> None:
    body = f"data: {json.dumps(json.loads(piece(text, 'stop')), ensure_ascii=False)}\n\ndata: [DONE]\n\n"
    assert read(body.encode(), size).text == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Four", "Four"),
        (None, ""),
        (4, "4"),
        (4.5, "4.5"),
        (["Fo", "ur"], "Four"),
        ([{"type": "text", "text": "Fo"}, {"type": "output_text", "text": "ur"}], "Four"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Four"}], "Four"),
        ([{"type": "image_url", "image_url": {}}, {"text": "Four"}, None, {"type": "text", "text": [1]}], "Four1"),
        ({"type": "text", "text": "Four"}, "Four"),
        ({}, ""),
    ],
)
def test_every_shape_of_a_content(content: object, text: str) -> None:
    assert read(json.dumps(whole(content)).encode()).text == text
    assert read(f"data: {piece(content, 'stop')}\n\n".encode()).text == text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('event: error\ndata: {"code": 400, "details": "too many"}\n\ndata: [DONE]\n\n', Complaint),
        ('data: {"object": "error", "message": "engine died"}\n\ndata: [DONE]\n\n', Complaint),
        ('data: {"code": 500, "detail": "x"}\n\ndata: [DONE]\n\n', Complaint),
        (f'data: {piece("Fo")}\n\ndata: {{"error": "overloaded"}}\n\ndata: [DONE]\n\n', Complaint),
        (f'data: {piece("Fo")}\n\ndata: {{"type": "error", "message": "overloaded"}}\n\ndata: [DONE]\n\n', Complaint),
        (f'data: {piece("Fo")}\n\ndata: {{"choices": [], "message": "overloaded"}}\n\ndata: [DONE]\n\n', Complaint),
        (f"data: {piece('Fo', 'abort')}\n\ndata: [DONE]\n\n", Complaint),
        (f"data: {piece('Fo', 'network_error')}\n\ndata: [DONE]\n\n", Complaint),
        (f"data: {piece('Fo', 'content_filter')}\n\ndata: [DONE]\n\n", Filtered),
        (json.dumps(whole("Fo", "content_filter")), Filtered),
        (json.dumps(whole("Fo", "ABORTED")), Complaint),
        (json.dumps(whole("Fo", error={"message": "upstream died"})), Complaint),
        ('{"object": "error", "message": "engine died"}', Complaint),
        ("data: [DONE]\n\n", Truncated),
        ('data: {"usage": {"prompt_tokens": 3, "completion_tokens": 0}}\n\ndata: [DONE]\n\n', Truncated),
        ('data: {"choices": []}\n\ndata: [DONE]\n\n', Truncated),
        (f"data: {piece('Fo')}\n\n", Truncated),
        (f"data: {piece('Fo')}\n\ndata: {{\n", Truncated),
        ("data: [1]\n\n", Truncated),
        ("{" * 100_000, Truncated),
        ("", Truncated),
        ("not json", Truncated),
        ("[]", Truncated),
        ('{"choices": [{"message": "Four"}]}', Truncated),
    ],
)
def test_what_is_no_whole_answer_is_told(body: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read(body.encode(), 1000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["choices", "delta", "message", "content", "text", "type", "usage", "error", "finish_reason",
                         "prompt_tokens", "completion_tokens", "code"]) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(JSON, st.booleans())
def test_a_shape_that_nobody_knows_is_an_error_that_is_known(body: object, streamed: bool) -> None:
    text = json.dumps(body)
    try:
        answer = read((f"data: {text}\n\ndata: [DONE]\n\n" if streamed else text).encode(), 1000)
    except (Truncated, Complaint, Filtered):
        return
    assert isinstance(answer.text, str) and (answer.input_tokens or 0) >= 0


def one_call(step: object, **options: Any) -> CallResult:
    async def go(url: str) -> CallResult:
        endpoint = Endpoint(url, "key")
        async with endpoint.client() as client:
            return await call(client, endpoint, "m", MESSAGES, timeout_s=60, **options)

    with FaultServer(lambda *_: step).running() as server:
        return asyncio.run(go(server.url))


@pytest.mark.parametrize(
    ("usage", "tokens", "is_estimated"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 2), False),
        ({"prompt_tokens": 5.0, "completion_tokens": 2.0}, (5, 2), False),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (5, 1), True),
        ({"prompt_tokens": 5, "completion_tokens": 0}, (5, 1), True),
        ({"prompt_tokens": -1, "completion_tokens": -1}, (5, 1), True),
        ({"prompt_tokens": "n/a", "completion_tokens": None}, (5, 1), True),
        ({"prompt_tokens": True, "completion_tokens": 2.5}, (5, 1), True),
        ({"prompt_tokens": 1e300, "completion_tokens": 2}, (5, 2), True),
        ([1, 2], (5, 1), True),
        (None, (5, 1), True),
    ],
)
def test_counts_that_cannot_be_true_are_none(usage: object, tokens: tuple[int, int], is_estimated: bool) -> None:
    result = one_call(reply(whole("Four", usage=usage)))
    assert result.ok and (result.input_tokens, result.output_tokens) == tokens
    assert result.tokens_estimated is is_estimated


def test_counts_may_come_apart_and_again() -> None:
    events = [piece("Fo", usage={"prompt_tokens": 5, "completion_tokens": 1}), piece("ur", "stop")]
    events += [json.dumps({"choices": [], "usage": {"completion_tokens": 2}})]
    body = "".join(f"data: {one}\n\n" for one in events).encode()
    result = one_call(reply(body, kind="text/event-stream"))
    assert (result.input_tokens, result.output_tokens, result.tokens_estimated) == (5, 2, False)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain; charset=utf-8", "application/json"])
def test_what_begins_like_a_stream_is_one(kind: str) -> None:
    result = one_call(reply(PLAIN.encode(), kind=kind))
    assert result.ok and result.text == "Four" and result.ttft_s is not None


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_is_the_first_token(field: str) -> None:
    first = json.dumps({"choices": [{"delta": {field: "hm"}}]})
    result = one_call(reply(f"data: {first}\n\n{PLAIN}".encode(), kind="text/event-stream"))
    assert result.ok and result.text == "Four" and result.ttft_s is not None


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (reply({"error": {"message": "Insufficient credits"}}, "402 Pay"), "quota"),
        (reply({"error": {"message": "Quota", "code": "insufficient_quota"}}, "429 No"), "quota"),
        (reply({"error": {"message": "Limit", "code": "billing_hard_limit_reached"}}, "400 No"), "quota"),
        (reply({"error": {"message": "Your credit balance is too low"}}, "400 No"), "quota"),
        (reply({"error": {"message": "add money at /billing to go faster"}}, "429 Slow"), "rate_limit"),
        (reply(b"404 page not found", "404 No", "text/plain"), "address"),
        (reply({"detail": "Not Found"}, "404 No"), "address"),
        (reply({"error": {"message": "The model `m` does not exist"}}, "404 No"), "not_found"),
        (reply({"error": "m is not pulled"}, "404 No"), "not_found"),
        (reply(b"<html>", "405 No", "text/html"), "address"),
        (reply(b"<html>hello</html>", kind="text/html"), "address"),
        (reply(b"", "302 There", head="location: http://127.0.0.1:1/\r\n"), "address"),
        (reply({"error": {"message": "exceeds the available context size"}}, "400 No"), "context_length"),
        (reply({"message": "longer than the model's context length"}, "400 No"), "context_length"),
        (reply({"error": {"message": "prompt is too long: 9 tokens > 4 maximum"}}, "400 No"), "context_length"),
        (reply({"error": {"message": "messages must alternate"}}, "400 No"), "bad_request"),
        (reply({"error": {"message": "Unsupported value: temperature"}}, "400 No"), "option"),
        (reply(whole("Fo", "content_filter")), "filtered"),
        (reply(whole("Fo", "abort")), "server_error"),
    ],
)
def test_errors_of_one_request_and_of_all(step: dict, error: str) -> None:
    result = one_call(step, extra={"temperature": 0.0})
    assert result.error == error and result.message and not result.ok


def test_a_field_that_a_server_refuses_is_left_out_or_renamed_now_and_later() -> None:
    def plan(model: str, prompt: str, nth: int) -> object:
        body = server.requests[-1]
        for name in ("stream_options", "max_tokens"):
            if name in body:
                return reply({"detail": [{"type": "extra_forbidden", "loc": ["body", name]}]}, "422 No")
        return "ok"

    async def go() -> list[CallResult]:
        endpoint = Endpoint(server.url, "key")
        async with endpoint.client() as client:
            wanted = {"timeout_s": 60, "max_output_tokens": 9}
            return [await call(client, endpoint, "m", MESSAGES, **wanted) for _ in range(2)]

    server = FaultServer(plan)
    with server.running():
        results = asyncio.run(go())
    assert all(result.ok for result in results) and len(server.requests) == 4
    assert server.requests[-1]["max_completion_tokens"] == 9


def test_a_limit_that_is_refused_under_both_names_is_an_error() -> None:
    def plan(*_: object) -> dict:
        name = next(name for name in server.requests[-1] if name.startswith("max_"))
        return reply({"error": {"message": f"{name} is too large"}}, "400 No")

    async def go() -> CallResult:
        endpoint = Endpoint(server.url, "key")
        async with endpoint.client() as client:
            return await call(client, endpoint, "m", MESSAGES, timeout_s=60, max_output_tokens=9)

    server = FaultServer(plan)
    with server.running():
        assert asyncio.run(go()).error == "option"
    assert len(server.requests) == 2
