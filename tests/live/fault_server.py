"""A real HTTP server on loopback that speaks the chat protocol and misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Plan = Callable[[str, str, int], "str | dict[str, Any]"]
FAULTS = ("rate_limit", "server_error", "reset", "truncated", "drip", "hang")
# What a client that does not give up itself makes of each.
ERROR_OF = {
    "ok": None, "plain": None, "rate_limit": "rate_limit", "server_error": "server_error", "reset": "connection",
    "truncated": "truncated", "drip": "timeout", "hang": "timeout",
}  # fmt: skip


class FaultServer:
    """``plan(model, prompt, nth)`` names what the nth request of a pair meets.

    It returns a fault's name, or a dict: ``{"text": ..., "delay": s, "fault": ...}``. ``"between": s`` parts the two
    halves of a streamed text. ``"hold"`` and ``"hold_between"`` are functions that say when either may go on.

    Attributes
    ----------
    requests, headers, dealt : list
        One entry per request that has arrived: body, headers, and the fault that it met.
    most_in_flight : int
        Most requests at a time, counted whenever one arrives.
    """

    def __init__(self, plan: Plan | None = None, retry_after: str = "0.05") -> None:
        self.plan: Plan = plan or (lambda model, prompt, nth: "ok")
        self.retry_after = retry_after
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.dealt: list[str] = []
        self.seen: Counter[tuple[str, str]] = Counter()
        self.most_in_flight = 0
        self.connections = 0
        self.port = 0
        self._answering: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def in_flight(self) -> int:
        """Requests that are neither answered nor given up by their client."""
        return sum(_waits(writer) for writer in list(self._answering))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
                self.requests.append(body)
                self.headers.append(headers)
                self._answering.add(writer)
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    if not await self._answer(body, writer):
                        return
                finally:
                    self._answering.discard(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        model, prompt = body.get("model", ""), body["messages"][-1]["content"]
        self.seen[model, prompt] += 1
        step = self.plan(model, prompt, self.seen[model, prompt])
        step = {"fault": step} if isinstance(step, str) else step
        fault, text = step.get("fault", "ok"), step.get("text", "The answer is B.")
        self.dealt.append(fault)
        await _until(step.get("hold"))
        if step.get("delay"):
            await asyncio.sleep(step["delay"])
        if "raw" in step:
            writer.write(step["raw"])
            await writer.drain()
            return False
        if fault == "rate_limit":
            _send(writer, "429 Too Many", {"error": {"message": "slow down"}}, f"retry-after: {self.retry_after}\r\n")
        elif fault == "server_error":
            _send(writer, "500 Oops", {"error": {"message": "internal"}})
        elif fault == "auth":
            _send(writer, "401 No", {"error": {"message": "Incorrect API key provided: " + step.get("echo", "")}})
        elif fault == "not_found":
            _send(writer, "404 No", {"error": {"message": "no such model"}})
        elif fault == "context":
            _send(
                writer,
                "400 No",
                {"error": {"message": "maximum context length is 10", "code": "context_length_exceeded"}},
            )
        elif fault == "bad_request":
            _send(writer, "400 No", {"error": {"message": "unknown field"}})
        elif fault == "redirect":
            _send(writer, "307 Over there", {}, "location: http://127.0.0.1:1/v1/chat/completions\r\n")
        elif fault == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        elif fault == "hang":
            await asyncio.sleep(3600)
        elif fault == "truncated":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n")
            writer.write(b'{"id": "x", "choices": [{')
        elif fault == "cut_body":
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"id":')
            await writer.drain()
            return False
        elif fault == "plain_error":
            _send(writer, "200 OK", {"error": {"message": "overloaded"}})
        elif fault == "odd_json":
            _send(writer, "200 OK", {"choices": [None]})
        elif fault == "drip" and not body.get("stream"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n{")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        elif fault == "plain" or not body.get("stream"):
            _send(writer, "200 OK", _whole(model, text, prompt))
        else:
            return await self._stream(fault, model, text, prompt, writer, step)
        await writer.drain()
        return True

    async def _stream(
        self, fault: str, model: str, text: str, prompt: str, writer: asyncio.StreamWriter, step: dict[str, Any]
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        half = max(1, len(text) // 2)
        for number, piece in enumerate((text[:half], text[half:])):
            if step.get("between") and number:
                await writer.drain()
                await _until(step.get("hold_between"))
                await asyncio.sleep(step["between"])
            _chunk(
                writer, _event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}, model)
            )
            if fault == "drip":
                while True:
                    _chunk(writer, _event({"choices": [{"index": 0, "delta": {"content": "."}}]}, model))
                    await writer.drain()
                    await asyncio.sleep(0.02)
            if fault == "stream_error":
                _chunk(writer, b'data: {"error": {"message": "overloaded"}}\n\n')
                break
            if fault == "cut_stream":
                await writer.drain()
                return False
            if fault == "early_end":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
        else:
            if fault != "no_finish":
                _chunk(writer, _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, model))
            if step.get("usage", True):
                _chunk(writer, _event({"choices": [], "usage": _usage(prompt, text)}, model))
        _chunk(writer, b"data: [DONE]\n\n")
        if fault == "no_end":
            await asyncio.sleep(3600)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=2**24, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await self._done.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def running(self) -> Iterator[FaultServer]:
        ready = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        thread.start()
        assert ready.wait(60)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._done.set)
            thread.join(60)
            assert not thread.is_alive()


def reply(body: bytes | object, status: str = "200 OK", kind: str = "application/json", head: str = "") -> dict:
    """Return the step that answers with a body as it stands, JSON where it is no bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n{head}\r\n"
    )
    return {"raw": lines.encode() + data}


async def _until(condition: Callable[[], bool] | None) -> None:
    """Wait for what another thread brings about."""
    while condition is not None and not condition():
        await asyncio.sleep(0.002)


def _waits(writer: asyncio.StreamWriter) -> bool:
    """Say whether the client still holds its end: the kernel is asked, which knows before the event loop has read it.

    A handler that hangs is told nothing when its client goes away; it would be counted to the end.
    """
    here = writer.get_extra_info("socket").fileno()
    if writer.is_closing() or here < 0:
        return False
    poll = select.poll()
    poll.register(here, getattr(select, "POLLRDHUP", select.POLLHUP))
    return not poll.poll(0)


def _usage(prompt: str, text: str) -> dict[str, int]:
    return {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split()), "total_tokens": 0}


def _whole(model: str, text: str, prompt: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(prompt, text),
    }


def _event(fields: dict[str, Any], model: str) -> bytes:
    body = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": model, **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _send(writer: asyncio.StreamWriter, status: str, body: dict[str, Any], more: str = "") -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n{more}\r\n"
    writer.write(head.encode() + data)
