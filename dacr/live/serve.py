"""An OpenAI-compatible server in front of the gateway: ``POST /v1/chat/completions`` with model "dacr"."""

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dacr.core import files
from dacr.core.errors import UserError
from dacr.live.answers import Schema, refuse_constant
from dacr.live.endpoint import is_loopback
from dacr.live.gateway import Gateway
from dacr.live.request import ChainError, ChainResult
from dacr.live.telemetry import Metrics

MODEL = "dacr"
_PASSED_ON = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty",
    "frequency_penalty", "user",
)  # fmt: skip
_REQUEST = Schema(files.read_yaml(Path(__file__).with_name("request.yaml")))
_PIECE = 48


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    def response(self) -> JSONResponse:
        """Return the error in the form that OpenAI clients read."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        body = {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}
        headers = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        return JSONResponse(body, self.status, headers=headers)


class Server:
    """Handlers of the application.

    Parameters
    ----------
    token : str or None
        Wanted as a bearer token when it is set.
    slots : int
        Requests answered at a time; further ones get 429 with Retry-After.
    defaults : mapping, optional
        Request fields for clients that do not give them (the answer's length, the temperature).
    task : str, optional
        The task of requests whose header ``x-dacr-task`` names none: the limits of the rules hold over all of a task.
    only_loopback : bool
        Refuse other ``Host`` names, so that no web page can reach the server by another name.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        token: str | None,
        max_body_bytes: int,
        slots: int,
        only_loopback: bool,
        defaults: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> None:
        self.gateway, self.max_body_bytes, self.slots = gateway, max_body_bytes, slots
        self.only_loopback, self.defaults = only_loopback, dict(defaults or {})
        self.task = task
        self._token, self._metrics, self._in_flight = token, Metrics(), 0
        gateway.chain.sinks.sinks.append(self._metrics)

    def app(self) -> Starlette:
        """Return the ASGI application."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.gateway.aclose()

        routes = [
            Route("/v1/chat/completions", self.complete, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/metrics", self.metrics),
            Route("/health", lambda _: PlainTextResponse("ok\n")),
        ]
        told: dict[Any, Any] = {
            Refused: lambda _, refused: refused.response(),
            ClientDisconnect: lambda *_: Response(status_code=499),
        }
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=told)

    def _admit(self, request: Request) -> None:
        if self.only_loopback and not is_loopback(f"http://{request.headers.get('host', '')}"):
            raise Refused(403, "this server answers on loopback names only", "forbidden")
        if self._token:
            kind, _, given = request.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
                raise Refused(401, "a valid bearer token is needed", "invalid_api_key")

    async def models(self, request: Request) -> Response:
        """List the one model that clients see."""
        self._admit(request)
        return JSONResponse(
            {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}]}
        )

    async def metrics(self, request: Request) -> Response:
        """Return the metrics in Prometheus' text format."""
        self._admit(request)
        self._metrics.in_flight.set(self._in_flight)
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def complete(self, request: Request) -> Response:
        """Answer a chat completion."""
        self._admit(request)
        body = await self._body(request)
        messages, schema, extra = _read(body)
        given = set(extra) | ({"max_tokens"} if "max_completion_tokens" in extra else set())
        extra = {**{name: value for name, value in self.defaults.items() if name not in given}, **extra}
        if self._in_flight >= self.slots:
            refused = Refused(429, f"all {self.slots} slots are taken; try again", "rate_limit_exceeded").response()
            refused.headers["retry-after"] = "1"
            return refused
        self._in_flight += 1
        try:
            task = request.headers.get("x-dacr-task", self.task)
            result = await self._while_connected(request, self.gateway.answer(messages, schema, extra, task))
        except ChainError as error:
            # What every model refuses for the request's own sake is not asked for again: clients retry a 502.
            called = error.result.called
            if error.result.shipped == "spend_cap" and not called:
                raise Refused(402, str(error), "spend_cap") from None
            own = called and all(one.reason in ("bad_request", "option", "context_length") for one in called)
            raise Refused(400 if own else 502, str(error), "all_models_failed") from None
        finally:
            self._in_flight -= 1
        return _respond(result, body, is_json=schema is not None)

    async def _body(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "the body should be application/json", "unsupported_media_type")
        length = request.headers.get("content-length", "")
        too_long = Refused(413, f"the body is over {self.max_body_bytes} bytes", "request_too_large")
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise too_long
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > self.max_body_bytes:
                raise too_long
        try:
            body = json.loads(bytes(received), parse_constant=refuse_constant)
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair can't be sent on
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON", "invalid_json") from None
        if not isinstance(body, dict):
            raise Refused(400, "the body should be a JSON object", "invalid_json")
        return body

    async def _while_connected(self, request: Request, work: Any) -> ChainResult:
        """Await ``work``; cancel it when the client goes away, so that its slot and its calls end."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _read(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Schema | None, dict[str, Any]]:
    """Check a request; return its messages, its schema and the fields that are passed on."""
    if body.get("model") != MODEL:
        raise Refused(404, f"the model is {MODEL!r}, got {body.get('model')!r}", "model_not_found")
    problem = _REQUEST.problem(body, "the body")
    if problem is not None:
        raise Refused(400, problem, "invalid_request")
    for name in ("tools", "functions", "audio"):
        if body.get(name):
            raise Refused(400, f"{name!r} is not supported: this router judges text answers", "unsupported")
    extra = {name: body[name] for name in _PASSED_ON if body.get(name) is not None}
    return body["messages"], _schema(body.get("response_format")), extra


def _schema(wanted: Any) -> Schema | None:
    if wanted is None or (isinstance(wanted, dict) and wanted.get("type") == "text"):
        return None
    try:
        if wanted["type"] == "json_object":
            return Schema({"type": "object"})
        if wanted["type"] == "json_schema":
            return Schema(wanted["json_schema"]["schema"])
    except (KeyError, TypeError):
        pass
    except UserError as error:
        raise Refused(400, str(error), "invalid_schema") from None
    raise Refused(400, "response_format should be text, json_object or json_schema with a schema", "invalid_schema")


def _respond(result: ChainResult, body: Mapping[str, Any], is_json: bool) -> Response:
    text = json.dumps(result.content, ensure_ascii=False) if is_json else result.content
    last = result.last
    usage = {"prompt_tokens": last.input_tokens if last else 0, "completion_tokens": last.output_tokens if last else 0}
    usage["total_tokens"] = sum(usage.values())
    finish = (last.finish_reason if last else None) or "stop"
    common = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
    headers = {
        "x-dacr-model": result.model_used.encode("ascii", "replace").decode(),
        "x-dacr-attempts": str(len(result.called)),
        "x-dacr-arm": result.arm.encode("ascii", "replace").decode(),
        "x-dacr-shipped": result.shipped,
        "x-dacr-cost-usd": "unknown" if result.cost_usd is None else f"{result.cost_usd:.9f}",
        "x-dacr-confidence": "unknown" if result.confidence is None else f"{result.confidence:.4f}",
    }
    if not body.get("stream"):
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
            "logprobs": None,
        }
        whole = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
        return JSONResponse(whole, headers=headers)
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    async def events() -> AsyncIterator[bytes]:
        # The answer has passed already: only one that passed may be shown, so it is sent as it stands.
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": text[start : start + _PIECE]} for start in range(0, len(text), _PIECE)]
        for delta in deltas:
            yield _event(common, [{"index": 0, "delta": delta, "finish_reason": None}])
        yield _event(common, [{"index": 0, "delta": {}, "finish_reason": finish}])
        if with_usage:
            yield _event(common, [], usage)
        yield b"data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={**headers, "cache-control": "no-cache"})


def _event(common: Mapping[str, Any], choices: list[Any], usage: Mapping[str, int] | None = None) -> bytes:
    body = {**common, "object": "chat.completion.chunk", "choices": choices}
    if usage is not None:
        body["usage"] = usage
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"
