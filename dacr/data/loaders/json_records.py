"""Records of JSON files of any size, one after another: lines, or values within a document."""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

import ijson
import numpy as np

from dacr.core.errors import UserError
from dacr.data.sources import Member

MAX_VALUE = 64 * 2**20
"""Bytes of one line, or of one record of a document."""
JSON = (".json", ".jsonl", ".ndjson")
MAX_OPEN = 10_000
"""Brackets that may stand open: the parser's time grows with the square of the depth."""
_PEEK = 2**20
_BLOCK = {"use_float": True, "buf_size": 2**20}
"""How ijson reads. It looks at an unfinished text once more with every block: small ones take a second for 20 MiB."""
_EVENTS = 20_000
_DEPTH = 4


def is_lines(member: Member) -> bool:
    """Say whether a JSON file has one object a line: by its name, else by its first line."""
    if member.suffix in (".jsonl", ".ndjson"):
        return True
    with member.open() as stream:
        first = stream.read(_PEEK).lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)
    if len(first) < 2 or not first[1].lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(first[0]), dict)
    except (ValueError, RecursionError):
        return False


def records(member: Member, prefix: str = "item") -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON file: one a line, or the values at ``prefix`` of a document.

    Parameters
    ----------
    prefix : str
        As ijson writes it: ``item`` for those of a list, ``records.item`` for those of a list under a key.

    Raises
    ------
    UserError
        With the line, where there are lines: not JSON, no object, longer than :data:`MAX_VALUE`.
    """
    found = _lines(member) if is_lines(member) else _items(member, prefix)
    for where, value in found:
        if not isinstance(value, dict):
            raise UserError(f"{where}: expected a JSON object, got {type(value).__name__}")
        yield value


def _lines(member: Member) -> Iterator[tuple[str, Any]]:
    with member.open() as stream:
        number = 0
        while line := stream.readline(MAX_VALUE + 1):
            number += 1
            where = f"{member.name}, line {number}"
            if len(line) > MAX_VALUE:
                raise UserError(f"{where} is longer than {MAX_VALUE:,} bytes; expected one JSON object a line")
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if text:
                yield where, parsed(text, where)


def parsed(text: bytes, where: str) -> Any:
    """Parse one JSON value; what is none is a :class:`UserError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{where}: not JSON ({what}); expected one object") from None


class Paced(io.RawIOBase):
    """Counts what is read between two values, or lines, so that one without an end can't fill the memory."""

    def __init__(self, stream: IO[bytes], name: str, by_line: bool = False) -> None:
        self._stream, self._name, self._by_line, self.since, self._open = stream, name, by_line, 0, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read, and refuse what has no end."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        last = data.rfind(b"\n") if self._by_line else -1
        self.since = len(data) - last if last >= 0 else self.since + len(data)
        if self.since > MAX_VALUE:
            what = "line" if self._by_line else "JSON value"
            raise UserError(f"{self._name} holds a {what} of more than {MAX_VALUE:,} bytes; expected many records")
        if not self._by_line:
            opened, closed = (sum(data.count(sign) for sign in pair) for pair in ((b"{", b"["), (b"}", b"]")))
            if self._open + opened > MAX_OPEN and self._open + _deepest(data) > MAX_OPEN:
                raise UserError(f"{self._name} is nested too deeply; expected a list of records")
            self._open += opened - closed
        return len(data)

    def fresh(self) -> None:
        """Begin to count again: a value is complete."""
        self.since = self._open = 0


def _deepest(data: bytes) -> int:
    """Return how many more brackets than before a block stand open at its deepest place."""
    sign = np.frombuffer(data, np.uint8) | 0x20  # "[" and "]" become "{" and "}"
    return int(np.cumsum((sign == ord("{")).astype(np.int8) - (sign == ord("}")), dtype=np.int64).max(initial=0))


@contextlib.contextmanager
def _document(member: Member) -> Iterator[Paced]:
    with member.open() as stream:
        if isinstance(stream, io.BufferedReader) and stream.peek(3)[:3] == b"\xef\xbb\xbf":
            stream.read(3)
        try:
            yield Paced(stream, member.name)
        except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
            said = " ".join(str(error).split())[:120]
            raise UserError(f"{member.name} is no whole JSON document ({said}); download or write it again") from None


def _items(member: Member, prefix: str) -> Iterator[tuple[str, Any]]:
    with _document(member) as stream:
        for number, value in enumerate(ijson.items(stream, prefix, **_BLOCK), start=1):
            stream.fresh()
            yield f"{member.name}, record {number}", value


def pairs(member: Member) -> Iterator[tuple[str, Any]]:
    """Yield key and value of a JSON object, one after another."""
    with _document(member) as stream:
        for key, value in ijson.kvitems(stream, "", **_BLOCK):
            stream.fresh()
            yield key, value


def scalars(member: Member, wanted: Sequence[str]) -> dict[str, Any]:
    """Return some scalar values of a document by their paths (``eval.model``); absent ones are left out."""
    found: dict[str, Any] = {}
    with _document(member) as stream:
        for prefix, event, value in ijson.parse(stream, **_BLOCK):
            stream.fresh()
            if len(prefix) > MAX_OPEN:
                raise UserError(f"{member.name} is nested too deeply; expected a list of records")
            if prefix in wanted and event in ("string", "number", "boolean", "null"):
                found[prefix] = value
                if len(found) == len(wanted):
                    break
    return found


def paths(member: Member) -> frozenset[str]:
    """Return the paths of the values in a JSON file's first record or records, such as ``token_usage.input_tokens``.

    Those of a list's items stand without ``item.``: a list of records has the paths of its records.
    """
    if is_lines(member):
        return frozenset(path for _, first in islice(_lines(member), 1) for path in _flat(first))
    seen: set[str] = set()
    with _document(member) as stream:
        for count, (prefix, _, _) in enumerate(ijson.parse(stream, **_BLOCK)):
            if prefix.count(".") < _DEPTH:
                seen.add(prefix.removeprefix("item."))
            if count > _EVENTS:
                break
    return frozenset(seen - {"", "item"})


def _flat(value: Any, prefix: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(value, dict) and depth < _DEPTH:
        for key, inner in value.items():
            yield f"{prefix}{key}"
            yield from _flat(inner, f"{prefix}{key}.", depth + 1)
    elif isinstance(value, list) and value and depth < _DEPTH:
        yield from _flat(value[0], f"{prefix}item.", depth + 1)
