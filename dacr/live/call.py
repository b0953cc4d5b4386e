"""One call, measured: time to first token, total, tokens, and a class for whatever went wrong."""

import asyncio
import contextlib
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from openai import AsyncOpenAI

from dacr.core.errors import UserError
from dacr.live.endpoint import LIMIT_FIELDS, Endpoint
from dacr.live.wire import Answer, Complaint, Filtered, Truncated, read_answer

RETRYABLE = frozenset({"rate_limit", "server_error", "connection", "timeout", "truncated"})
"""Errors that another try may not meet."""

FATAL = {
    "auth": "the server refuses the API key",
    "quota": "the account at the server is empty",
    "not_found": "the server knows no such model",
    "address": "the server has no chat completions at this address: look at --base_url, which often ends with /v1",
    "option": "the server refuses a field that every call has",
}
"""Errors that every further call would meet, and what to tell the user."""


def fatal(error: str, model: str, message: str) -> UserError:
    """Return what the user is told of an error of :data:`FATAL`."""
    return UserError(f"{FATAL[error]} (model {model!r}; {message}); mend that and run the same command again")


OWN_FAULT = frozenset({"context_length", "bad_request", "filtered", "option"})
"""Errors that lie in the request or in its answer: they say nothing about the server's health."""

MAYBE_BILLED = frozenset({"connection", "timeout", "truncated", "unexpected", "filtered"})
"""Errors after which the provider may have charged for tokens that never arrived."""

_REST_S = 0.25
"""Most seconds, outside the clock, to wait for the end of a stream whose answer is whole."""

_TOO_LONG = re.compile(
    r"context[_ -](?:length|size|window)|maximum context|(?:prompt|input) is too long|too many (?:input )?tokens", re.I
)
_NO_MONEY = re.compile(
    r"insufficient[_ ](?:quota|funds|balance|credits?)|billing_(?:hard_limit|not_active)|credit balance is too low"
    r"|\barrearage\b", re.I
)  # fmt: skip


@dataclass(frozen=True)
class CallResult:
    """What one call gave.

    Attributes
    ----------
    latency_s, ttft_s : float, seconds from sending the request
        Until the end, and until the first token (None if the server did not stream).
    started_s : float, seconds on the clock of ``time.perf_counter``
        When sending began.
    error : str or None
        rate_limit, server_error, connection, timeout, truncated, filtered, auth, quota, not_found, address,
        context_length, option, bad_request or unexpected.
    retry_after_s : float or None
        How long the server asked to wait.
    tokens_estimated : bool
        The server told no usage that can be true; what it did not tell is characters / 4.
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

    @property
    def maybe_billed(self) -> bool:
        """Whether the provider may have charged for what is no success."""
        return self.error in MAYBE_BILLED or (self.error is not None and self.status == 200)


async def call(
    client: AsyncOpenAI,
    endpoint: Endpoint,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    timeout_s: float,
    max_output_tokens: int | None = None,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> CallResult:
    """Call a model once. Never raises for what the server does; cancellation passes through.

    ``timeout_s`` bounds the whole call: a server that drips one byte at a time cannot stretch it.
    ``request_id`` goes along as ``X-Client-Request-Id``: the provider's log and one's own can be compared
    even where no answer came back. A server that refuses ``stream_options``, or the name of the field that limits the
    answer, is asked again without the one or with the other name, now and later; the clock starts anew.
    """
    while True:
        body: dict[str, Any] = {"model": model, "messages": list(messages), **(extra or {})}
        if max_output_tokens is not None:
            body[endpoint.limit_field] = max_output_tokens
        if stream:
            body["stream"] = True
            if "stream_options" not in endpoint.refused:
                body["stream_options"] = {"include_usage": True}
        result = await _once(client, endpoint, body, timeout_s, request_id)
        if result.error != "option" or not _adapt(endpoint, body, result.message):
            return result


def _adapt(endpoint: Endpoint, body: Mapping[str, Any], message: str) -> bool:
    """Keep in mind a refused field that another request can do without; say whether it is worth asking again."""
    for name in ("stream_options", *LIMIT_FIELDS):
        if name in body and name in message:
            endpoint.refused.add(name)
            return name == "stream_options" or not endpoint.refused.issuperset(LIMIT_FIELDS)
    return False


async def _once(
    client: AsyncOpenAI, endpoint: Endpoint, body: dict[str, Any], timeout_s: float, request_id: str | None
) -> CallResult:
    headers = {} if request_id is None else {"X-Client-Request-Id": request_id}
    error: BaseException | None = None
    started = time.perf_counter()
    answer = Answer(started)
    try:
        async with asyncio.timeout(timeout_s):
            raw = client.chat.completions.with_streaming_response
            async with raw.create(**body, extra_headers=headers, timeout=timeout_s) as response:
                if "text/html" in response.headers.get("content-type", ""):
                    raise WrongAddress("a web page came back")
                chunks = response.iter_bytes()
                await read_answer(chunks, answer)
                await _read_rest(chunks)
    except Exception as caught:
        error = answer.problem or caught
    latency_s = time.perf_counter() - started
    if answer.whole_s is not None and (answer.problem is None and not isinstance(error, Truncated)):
        # The answer was told to be whole: nothing that came after it counts.
        error, latency_s = None, answer.whole_s
    return _result(error, answer, latency_s, endpoint, body)


class WrongAddress(Exception):
    """Something else than an API answers there."""


async def _read_rest(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end of the stream: only then is the connection used again, and a new one would be measured too."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REST_S):
            async for _ in chunks:
                pass


def _result(
    error: BaseException | None, answer: Answer, latency_s: float, endpoint: Endpoint, body: Mapping[str, Any]
) -> CallResult:
    text = answer.text
    words = "" if error is None else _words(error)
    told = (answer.input_tokens, answer.output_tokens)
    if error is None or text:
        # A prompt without tokens, or a text without: a count that can't be true is none.
        n_char = sum(len(str(message.get("content") or "")) for message in body["messages"])
        guessed = (-(-n_char // 4), -(-len(text) // 4))
        true = (bool(told[0]), bool(told[1]) or (told[1] == 0 and not text))
    else:
        guessed, true = (0, 0), (True, True)
    tokens = [(one or 0) if is_true else guess for one, is_true, guess in zip(told, true, guessed, strict=True)]
    status = getattr(error, "status_code", None)
    return CallResult(
        text=text,
        latency_s=latency_s,
        ttft_s=answer.ttft_s,
        error=None if error is None else _classify(error, words, body),
        status=200 if error is None or isinstance(error, (Complaint, Filtered)) else status,
        # A server's words are kept short and without the key: some servers quote it back.
        message=endpoint.redact(words)[:300],
        retry_after_s=_retry_after(error) if error else None,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        tokens_estimated=not all(true),
        finish_reason=answer.finish_reason,
        started_s=answer.started,
    )


def _words(error: BaseException) -> str:
    """Return what the server said, or else what happened here."""
    if isinstance(error, openai.APIStatusError):
        with contextlib.suppress(Exception):  # the body may not have arrived
            request = error.response.request
            return f"HTTP {error.status_code} to {request.url.path}: {' '.join(error.response.text.split())}"
    return f"{type(error).__name__}: {error}"


def _classify(error: BaseException, words: str, body: Mapping[str, Any]) -> str:
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        return "timeout"
    if isinstance(error, openai.APIStatusError):
        return _classify_status(error.status_code, words, body)
    if isinstance(error, WrongAddress):
        return "address"
    if isinstance(error, Filtered):
        return "filtered"
    if isinstance(error, Truncated) or _broke_off(error):
        return "truncated"
    if isinstance(error, openai.APIConnectionError):
        return "connection"
    if isinstance(error, Complaint) and _NO_MONEY.search(words):
        return "quota"
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


def _classify_status(status: int, words: str, body: Mapping[str, Any]) -> str:
    if status == 402 or (status in (400, 403, 429) and _NO_MONEY.search(words)):
        return "quota"
    if status == 429:
        return "rate_limit"
    if status in (401, 403):
        return "auth"
    if status == 404:
        model = rf"(?<!\w)(?:model\w*|{re.escape(str(body['model']))})(?!\w)"
        return "not_found" if re.search(model, words.partition(": ")[2], re.I) else "address"
    if status == 405 or 300 <= status < 400:
        return "address"
    if status in (408, 409) or status >= 500:
        return "server_error"
    if _TOO_LONG.search(words):
        return "context_length"
    named = any(re.search(rf"\b{name}\b", words) for name in body if name not in ("model", "messages", "stream"))
    return "option" if named else "bad_request"


def _retry_after(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        with contextlib.suppress(TypeError, ValueError):
            seconds = float(value) * unit_s
            if math.isfinite(seconds):
                return max(0.0, seconds)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        when = parsedate_to_datetime(headers.get("retry-after", ""))
        # Dates of HTTP are in GMT, whether they say so or not.
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - time.time())
    return None
