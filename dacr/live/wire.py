"""Reading what servers send: event streams, one JSON object, and the many shapes that both come in.

Plain JSON, not the client library's objects: parsing must not be counted as latency. A shape that nobody knows is an
error of that one call.
"""

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)
_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MOST_BYTES = 64 * 2**20
_REASONING = ("reasoning_content", "reasoning", "thinking")
_FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
_BROKEN = {
    "error", "abort", "aborted", "cancelled", "canceled", "failed", "timeout", "network_error",
    "insufficient_system_resource", "malformed_function_call",
}  # fmt: skip


class Truncated(Exception):
    """The answer broke off before its end, or has no form that is known."""


class Complaint(Exception):
    """The server sent an error with status 200."""


class Filtered(Exception):
    """The server cut its answer off because of what the answer says."""


class Answer:
    """What has arrived of an answer so far; outlives an exception.

    Attributes
    ----------
    ttft_s, whole_s : float or None, seconds since ``started``
        When the first token came, of the text or of reasoning before it, and when the end was told.
    input_tokens, output_tokens : int or None
        As the server counted them; None where it told no count that can be true.
    problem : exception or None
        Why the answer is no success although it ends: usage may still come after it.
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self.pieces: list[str] = []
        self.has_choice = False
        self.ttft_s: float | None = None
        self.whole_s: float | None = None
        self.finish_reason: str | None = None
        self.problem: Exception | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None

    @property
    def text(self) -> str:
        """The text; half a surrogate pair can be JSON, but nothing that can be written down."""
        return "".join(self.pieces).encode("utf-8", "replace").decode()

    def elapsed_s(self) -> float:
        """Return the seconds since ``started``."""
        return time.perf_counter() - self.started


async def read_answer(chunks: AsyncIterator[bytes], answer: Answer) -> None:
    """Read a body to the end that it tells: an event stream or one JSON object, whatever its content type says.

    Raises
    ------
    Truncated, Complaint, Filtered
        The body is no whole answer.
    """
    body = b""
    async for chunk in chunks:
        body += chunk
        start = body.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(_EVENT_FIELDS):
            await _read_events(start, chunks, answer)
            break
        if len(body) > _MOST_BYTES:
            raise Truncated(f"the answer is over {_MOST_BYTES} bytes")
    else:
        _take(_json(body.decode("utf-8-sig", "replace")), "message", answer, "")
        answer.finish_reason = answer.finish_reason or "stop"
    if answer.problem is not None:
        raise answer.problem
    if not answer.has_choice:
        raise Truncated("the answer lacks choices[0].message")
    if answer.finish_reason is None and answer.whole_s is None:
        raise Truncated("the stream ended before its last chunk")
    if not answer.text and answer.finish_reason is None:
        raise Truncated("the stream holds no text and no reason for its end")


async def _read_events(start: bytes, chunks: AsyncIterator[bytes], answer: Answer) -> None:
    waiting: list[str] = []
    event = ""
    async for line in _lines(start, chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if waiting:
                _take(_json("\n".join(waiting)), "delta", answer, event)
            waiting, event = [], ""
        elif name == "event":
            event = value.strip()
        elif name == "data" and value.strip() == "[DONE]":
            answer.whole_s = answer.elapsed_s()
            break
        elif name == "data":
            waiting.append(value)
            with contextlib.suppress(Truncated):  # most events are one line: nothing waits for the empty line after it
                body = _json("\n".join(waiting))
                waiting = []
            if not waiting:
                _take(body, "delta", answer, event)
    if waiting:
        raise Truncated("the stream ended within an event")


async def _lines(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield lines; LF, CR and CRLF end one, and no other letter does."""
    rest, fresh = b"", start
    while True:
        *whole, rest = _LINE_END.split(rest + fresh)
        for line in whole:
            yield line.decode("utf-8", "replace")
        if len(rest) > _MOST_BYTES:
            raise Truncated(f"a line of the stream is over {_MOST_BYTES} bytes")
        try:
            fresh = await anext(chunks)
        except StopAsyncIteration:
            break
    if rest.strip():
        yield rest.removesuffix(b"\r").decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Truncated(f"the answer is not JSON ({type(error).__name__})") from None


def _take(body: Any, part: str, answer: Answer, event: str) -> None:
    """Take one JSON object: a whole answer (``part`` is message) or a piece of one (delta)."""
    if not isinstance(body, dict):
        raise Truncated("an answer that is no JSON object")
    if "error" in (event, body.get("object"), body.get("type")) or body.get("error"):
        raise Complaint(_words(body.get("error") or body))
    _take_usage(body.get("usage"), answer)
    choices = body.get("choices")
    told = {"code", "detail", "details"} & body.keys() or isinstance(body.get("message"), str)
    if not choices and part == "delta" and "usage" not in body and told:
        raise Complaint(_words(body))
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            _take_choice(choice, part, answer)


def _take_choice(choice: dict[str, Any], part: str, answer: Answer) -> None:
    message = choice.get(part)
    if not isinstance(message, dict):
        message = choice.get("message" if part == "delta" else "delta")
    if isinstance(message, dict):
        answer.has_choice = True
        piece, thought = _text_of(message.get("content"))
        if (
            part == "delta"
            and answer.ttft_s is None
            and (piece or thought or any(message.get(name) for name in _REASONING))
        ):
            answer.ttft_s = answer.elapsed_s()
        answer.pieces.append(piece)
    reason = choice.get("finish_reason")
    if choice.get("error"):
        answer.problem = Complaint(_words(choice["error"]))
    if isinstance(reason, str) and reason:
        answer.finish_reason = reason
        if reason.lower() in _FILTERED:
            answer.problem = Filtered(f"finish_reason {reason}")
        elif reason.lower() in _BROKEN:
            answer.problem = answer.problem or Complaint(f"finish_reason {reason}")


def _text_of(content: Any) -> tuple[str, bool]:
    """Return the text of a content, and whether it holds reasoning: a text, a number, nothing, or a list of parts."""
    if content is None:
        return "", False
    if isinstance(content, str):
        return content, False
    if isinstance(content, (bool, int, float)):
        return json.dumps(content), False
    if isinstance(content, list):
        parts = [_text_of(part) for part in content]
        return "".join(text for text, _ in parts), any(thought for _, thought in parts)
    if isinstance(content, dict):
        if content.get("type", "text") in ("text", "output_text"):
            return _text_of(content.get("text"))
        return "", content.get("type") in _REASONING
    return "", False


def _take_usage(usage: Any, answer: Answer) -> None:
    """Take counts of tokens, which may come apart and again; a later one that can be true replaces an earlier one."""
    if not isinstance(usage, dict):
        return
    for theirs, ours in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        value = usage.get(theirs)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53 and value % 1 == 0:
            setattr(answer, ours, int(value))


def _words(error: Any) -> str:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str)
