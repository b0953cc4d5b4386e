"""One call, measured: time to first token, total, tokens, and a class for whatever went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from openai import AsyncOpenAI

from dacr.live.endpoint import Endpoint

RETRYABLE = frozenset({"rate_limit", "server_error", "connection", "timeout", "truncated"})
"""Errors that another try may not meet."""

_REST_S = 0.25
"""Most seconds, outside the clock, to wait for the end of a stream whose answer is whole."""

MAYBE_BILLED = frozenset({"connection", "timeout", "truncated", "unexpected"})
"""Errors after which the provider may have charged for tokens that never arrived."""


@dataclass(frozen=True)
class CallResult:
    """What one call gave.

    Attributes
    ----------
    latency_s, ttft_s : float, seconds from sending the request
        Until the end, and until the first piece of text (None if the server did not stream).
    started_s : float, seconds on the clock of ``time.perf_counter``
        When sending began.
    error : str or None
        rate_limit, server_error, connection, timeout, truncated, auth, not_found, context_length,
        bad_request or unexpected.
    retry_after_s : float or None
        How long the server asked to wait.
    tokens_estimated : bool
        The server told no usage; tokens are characters / 4.
    """

    text: str
    latency_s: float
    ttft_s: float | None = None
    error: str | None = None
    status: int | None = None
    message: str = ""
    retry_after_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    tokens_estimated: bool = False
    finish_reason: str | None = None
    started_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether an answer arrived whole."""
        return self.error is None


class Truncated(Exception):
    """The answer broke off before its end."""


class Complaint(Exception):
    """The server sent an error with status 200."""


class _Partial:
    """What has arrived so far; outlives an exception."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.ttft_s: float | None = None
        self.whole_s: float | None = None
        self.finish_reason: str | None = None
        self.usage: tuple[int, int] | None = None


async def call(
    client: AsyncOpenAI,
    endpoint: Endpoint,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    timeout_s: float,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> CallResult:
    """Call a model once. Never raises for what the server does; cancellation passes through.

    ``timeout_s`` bounds the whole call: a server that drips one byte at a time cannot stretch it.
    ``request_id`` goes along as ``X-Client-Request-Id``: the provider's log and one's own can be compared
    even where no answer came back.
    """
    body: dict[str, Any] = {"model": model, "messages": list(messages), **(extra or {})}
    if max_output_tokens is not None:
        body[endpoint.output_limit_field] = max_output_tokens
    if temperature is not None:
        body["temperature"] = temperature
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = {} if request_id is None else {"X-Client-Request-Id": request_id}
    partial = _Partial()
    error: BaseException | None = None
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            await _receive(client, body, headers, timeout_s, partial, started)
    except Exception as caught:
        error = caught
    latency_s = time.perf_counter() - started
    if partial.whole_s is not None:
        # The answer was told to be whole: nothing that came after it counts.
        error, latency_s = None, partial.whole_s
    return _result(error, partial, started, latency_s, endpoint, messages)


async def _receive(
    client: AsyncOpenAI,
    body: dict[str, Any],
    headers: dict[str, str],
    timeout_s: float,
    partial: _Partial,
    started: float,
) -> None:
    raw = client.chat.completions.with_streaming_response
    async with raw.create(**body, extra_headers=headers, timeout=timeout_s) as response:
        if "text/event-stream" in response.headers.get("content-type", ""):
            await _read_stream(response.iter_lines(), partial, started)
        else:
            # A server that ignores stream=true answers with one JSON object.
            _read_whole(json.loads(await response.read()), partial)


async def _read_stream(lines: AsyncIterator[str], partial: _Partial, started: float) -> None:
    """Read server-sent events. Plain JSON, not the SDK's objects: parsing must not be counted as latency."""
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            partial.whole_s = time.perf_counter() - started
            await _read_rest(lines)
            return
        chunk = json.loads(data)
        _take_usage(chunk, partial)
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            piece = delta.get("content") or ""
            if (piece or delta.get("reasoning_content")) and partial.ttft_s is None:
                partial.ttft_s = time.perf_counter() - started
            partial.pieces.append(piece)
            partial.finish_reason = choice.get("finish_reason") or partial.finish_reason
    if partial.finish_reason is None:
        raise Truncated("the stream ended before its last chunk")


async def _read_rest(lines: AsyncIterator[str]) -> None:
    """Read to the end of the stream: only then is the connection used again, and a new one would be measured too."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REST_S):
            async for _ in lines:
                pass


def _read_whole(body: Any, partial: _Partial) -> None:
    try:
        _take_usage(body, partial)
        choice = body["choices"][0]
        partial.pieces.append(choice["message"].get("content") or "")
        partial.finish_reason = choice.get("finish_reason") or "stop"
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Truncated("the answer lacks choices[0].message") from None


def _take_usage(body: Any, partial: _Partial) -> None:
    if body.get("error"):
        raise Complaint(str(body["error"]))
    usage = body.get("usage")
    if usage:
        partial.usage = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))


def _result(
    error: BaseException | None,
    partial: _Partial,
    started_s: float,
    latency_s: float,
    endpoint: Endpoint,
    messages: Sequence[Mapping[str, Any]],
) -> CallResult:
    # Half a surrogate pair can be JSON, but nothing that can be written down.
    text = "".join(partial.pieces).encode("utf-8", "replace").decode()
    kind = None if error is None else _classify(error)
    estimated = partial.usage is None and (error is None or bool(text))
    if partial.usage is not None:
        tokens = partial.usage
    elif estimated:
        tokens = (-(-sum(len(str(m.get("content") or "")) for m in messages) // 4), -(-len(text) // 4))
    else:
        tokens = (0, 0)
    # A server's words are kept short and without the key: some servers quote it back.
    message = "" if error is None else endpoint.redact(f"{type(error).__name__}: {error}")[:200]
    return CallResult(
        text=text,
        latency_s=latency_s,
        ttft_s=partial.ttft_s,
        error=kind,
        status=getattr(error, "status_code", None) if error else 200,
        message=message,
        retry_after_s=_retry_after(error) if error else None,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        tokens_estimated=estimated,
        finish_reason=partial.finish_reason,
        started_s=started_s,
    )


def _classify(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        return "timeout"
    if isinstance(error, openai.APIStatusError):
        return _classify_status(error)
    if isinstance(error, (Truncated, json.JSONDecodeError, UnicodeDecodeError, AttributeError)):
        return "truncated"
    if _broke_off(error):
        return "truncated"
    if isinstance(error, openai.APIConnectionError):
        return "connection"
    if isinstance(error, (Complaint, openai.APIError)):
        return "server_error"
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "anyio"):
        return "connection"
    return "unexpected"


def _broke_off(error: BaseException) -> bool:
    """Headers arrived and the body did not end: the SDK may or may not wrap the transport's own error."""
    return any(
        type(one).__name__ == "RemoteProtocolError" and "complete message body" in str(one)
        for one in (error, error.__cause__)
        if one is not None
    )


def _classify_status(error: openai.APIStatusError) -> str:
    status = error.status_code
    if status == 429:
        return "rate_limit"
    if status in (401, 403):
        return "auth"
    if status == 404:
        return "not_found"
    if status in (408, 409) or status >= 500:
        return "server_error"
    words = str(error).lower()
    return "context_length" if "context_length" in words or "maximum context" in words else "bad_request"


def _retry_after(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    try:
        if headers.get("retry-after-ms"):
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if not value:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
