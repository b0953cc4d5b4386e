"""Reading answers: reasoning blocks off, JSON out of fences and prose, and checked against a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import jsonschema
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from dacr.core.errors import UserError

_THINK = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THINK_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
_LEGACY_FENCE = re.compile(r"```(?:json)?\s*(\{.*?\}|\[.*?\])\s*```", re.DOTALL)
_MOST_STARTS = 64


@dataclass(frozen=True)
class Parsed:
    """The JSON of an answer: a value, or the reason why there is none."""

    value: Any = None
    problem: str | None = None


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
                f"the JSON Schema is not valid: {error.message}; mend it before the chain is built"
            ) from None
        except (TypeError, AttributeError):
            raise UserError(f"a JSON Schema should be an object, got {type(schema).__name__}") from None
        # An empty registry: a $ref to another machine is an error, never a download.
        self._validator = kind(schema, registry=Registry())

    def problem(self, value: Any) -> str | None:
        """Return why ``value`` does not fit, or None."""
        try:
            error = best_match(self._validator.iter_errors(value))
        except (Unresolvable, RecursionError) as caught:
            return f"the schema can't be applied: {type(caught).__name__}"
        if error is None:
            return None
        where = "/".join(str(part) for part in error.absolute_path) or "the answer"
        return f"{where}: {error.message}"[:200]

    def response_format(self) -> dict[str, Any]:
        """Return the request field that tells the model of this schema."""
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": self.definition, "strict": False}}


def parse_json(text: str, schema: Schema | None = None, legacy: bool = False) -> Parsed:
    """Find the JSON of an answer: the whole text, a Markdown fence, or a value within prose.

    The first candidate that fits the schema wins; if none fits, the first candidate's problem is told.

    Examples
    --------
    >>> parse_json('Sure: {"a": 1}. Anything else?').value
    {'a': 1}
    """
    problem = None
    for value in _candidates(text, legacy):
        wrong = schema.problem(value) if schema else None
        if wrong is None:
            return Parsed(value)
        problem = problem or wrong
    return Parsed(problem=problem or "no JSON in the answer")


def _candidates(text: str, legacy: bool) -> Iterator[Any]:
    fence = _LEGACY_FENCE if legacy else _FENCE
    for piece in (text, *(match.group(1) for match in fence.finditer(text))):
        try:
            yield _DECODER.decode(piece.strip())
        except (ValueError, RecursionError):
            continue
    if legacy:
        return
    end = 0
    starts = [match.start() for match in re.finditer(r"[{\[]", text)][:_MOST_STARTS]
    for start in starts:
        if start < end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
