"""Judging answers: reasoning blocks off, JSON out of fences and prose and against a schema, refusals told apart."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import jsonschema
import regex
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from dacr.core.errors import UserError
from dacr.estimates.features.refusals import is_refusal

_THINK = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THINK_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
_MOST_STARTS = 64
_CHECK_S = 1.0
"""Most seconds that checking one answer may take: a schema can be made so that it would take for ever."""


_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


@dataclass(frozen=True)
class Parsed:
    """The JSON of an answer: a value, or the reason why there is none."""

    value: Any = None
    problem: str | None = None


def judge_text(text: str, schema: Schema | None = None) -> tuple[str, str, str, Any]:
    """Judge an answer that arrived: (outcome, reason, detail, content).

    Validity comes first, for valid JSON may quote a refusal. The reason is one of our words; the detail may quote
    the answer.
    """
    answer = without_thoughts(text)
    if schema is None:
        if _is_json(answer) or not is_refusal(answer):
            return "success", "", "", answer
        return "rejected", "refusal", "" if answer else "empty answer", None
    parsed = parse_json(answer, schema)
    if parsed.problem is None:
        return "success", "", "", parsed.value
    return ("rejected", "refusal", "", None) if is_refusal(answer) else ("invalid", "schema", parsed.problem, None)


def without_thoughts(text: str) -> str:
    """Remove a reasoning block from the start of an answer; one that never ends leaves nothing.

    Examples
    --------
    >>> without_thoughts("<think>2 and 2</think> 4")
    '4'
    """
    text = _THINK.sub("", text, count=1) if _THINK.match(text) else text
    if "<think" not in text.lower():  # some servers drop the opening tag
        text = _THINK_END.split(text)[-1]
    return text.strip()


class Schema:
    """A JSON Schema that has been checked itself, so that a bad one fails when the chain is built.

    Raises
    ------
    UserError
        The schema is not a valid JSON Schema.
    """

    def __init__(self, schema: Mapping[str, Any] | bool) -> None:
        self.definition = schema
        try:
            kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise UserError(
                f"the JSON Schema is not valid: {error.message[:200]}; mend it before the chain is built"
            ) from None
        except RecursionError:
            raise UserError("the JSON Schema is nested too deeply; mend it before the chain is built") from None
        except (TypeError, AttributeError):
            raise UserError(f"a JSON Schema should be an object, got {type(schema).__name__}") from None
        # An empty registry: a $ref to another machine is an error, never a download.
        self._validator = _bounded(kind)(schema, registry=Registry())
        text = json.dumps(schema)
        if '"patternProperties"' in text and '"unevaluatedProperties"' in text:
            raise UserError("a JSON Schema with patternProperties and unevaluatedProperties is not supported")

    def problem(self, value: Any, what: str = "the answer") -> str | None:
        """Return why ``value`` (``what``, in words) does not fit, or None; a second at most, whatever the schema is."""
        token = _deadline.set(time.monotonic() + _CHECK_S)
        try:
            error = best_match(self._validator.iter_errors(value))
        except (Unresolvable, RecursionError, TimeoutError, regex.error) as caught:
            return f"the schema can't be applied: {type(caught).__name__}"
        finally:
            _deadline.reset(token)
        if error is None:
            return None
        where = "/".join(str(part) for part in error.absolute_path) or what
        return f"{where}: {error.message}"[:200]

    def response_format(self) -> dict[str, Any]:
        """Return the request field that tells the model of this schema."""
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": self.definition, "strict": False}}


def _bounded(kind: Any) -> Any:
    """Return a validator class that keeps to the time that is left, and divides decimals as they are written."""

    def timed(check: Any) -> Any:
        def look(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            _seconds_left()
            yield from check(validator, value, instance, schema) or ()

        return look

    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
    }
    checks = {name: own.get(name, check) for name, check in kind.VALIDATORS.items()}
    return jsonschema.validators.extend(kind, {name: timed(check) for name, check in checks.items()})


def _seconds_left() -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _found(pattern: str, text: str) -> bool:
    # The standard library's search can't be stopped, and holds up all other threads.
    return regex.search(pattern, text, timeout=min(_seconds_left(), _CHECK_S)) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "string") and not _found(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, inner in patterns.items():
            for name in (name for name in instance if _found(pattern, name)):
                yield from validator.descend(instance[name], inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name in instance:
            if name not in known and not any(_found(pattern, name) for pattern in patterns):
                if inner is False:
                    yield jsonschema.ValidationError(f"{name!r} is no property of the schema")
                elif inner is not True:
                    yield from validator.descend(instance[name], inner, path=name)


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "number") and Decimal(str(instance)) % Decimal(str(step)):
        yield jsonschema.ValidationError(f"{instance!r} is not a multiple of {step}")


def parse_json(text: str, schema: Schema | None = None) -> Parsed:
    """Find the JSON of an answer: the whole text, a Markdown fence, or a value within prose.

    The first candidate that fits the schema wins; if none fits, the first candidate's problem is told.

    Examples
    --------
    >>> parse_json('Sure: {"a": 1}. Anything else?').value
    {'a': 1}
    """
    problem = None
    for value in _candidates(text):
        wrong = schema.problem(value) if schema else None
        if wrong is None:
            return Parsed(value)
        problem = problem or wrong
    return Parsed(problem=problem or "no JSON in the answer")


def _candidates(text: str) -> Iterator[Any]:
    for piece in (text, *(match.group(1) for match in _FENCE.finditer(text))):
        with contextlib.suppress(ValueError, RecursionError):
            yield _writable(_DECODER.decode(piece.strip()))
    end = 0
    for start in [match.start() for match in re.finditer(r"[{\[]", text)][:_MOST_STARTS]:
        if start >= end:
            with contextlib.suppress(ValueError, RecursionError):
                value, end = _DECODER.raw_decode(text, start)
                yield _writable(value)


def _writable(value: Any) -> Any:
    """Return JSON with a replacement for half a surrogate pair, which nothing can write down."""
    text = json.dumps(value, ensure_ascii=False)
    return value if text.isascii() else json.loads(text.encode("utf-8", "replace"))


def refuse_constant(constant: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python's parser takes for JSON."""
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def _is_json(text: str) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        return text.startswith(("{", "[")) and json.loads(text) is not None
    return False
