"""Files as people have them: one file, a folder, a glob, a zip, gzipped; opened as streams, within bounds.

Nothing is unpacked to disk but what a library has to seek in, and nothing is read whole: a line, a JSON value and the
ratio of an archive are bounded, so that memory is the same for any size of input.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import io
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

import ijson

from dacr.core import files
from dacr.core.errors import UserError

MAX_VALUE = 64 * 2**20
"""Bytes of one line, or of one record of a JSON document."""
MAX_RATIO, RATIO_FROM = 200, 100 * 2**20
"""How many times its size a compressed file may unpack to, once it unpacks to more than so many bytes."""
_PEEK = 2**20
_EVENTS = 20_000
_DEPTH = 4
_ZIPS = (".zip", ".eval")


@dataclass(frozen=True)
class Member:
    """One file of a source.

    Attributes
    ----------
    name : str
        Its path within the source, to be named in errors; without ``.gz``.
    path : Path
        The file on disk: itself, or the archive that holds it.
    inner : str
        Its name in the archive.
    """

    name: str
    path: Path
    inner: str = ""

    @property
    def suffix(self) -> str:
        """Ending of the name in lower case, such as ``.jsonl``."""
        return PurePosixPath(self.name).suffix.lower()

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open for reading, unpacked; damage is a :class:`UserError`, also where it shows while reading."""
        try:
            with contextlib.ExitStack() as stack:
                raw, size = self._raw(stack)
                packed = bool(self.inner)
                if raw.peek(2)[:2] == b"\x1f\x8b":
                    raw, packed = stack.enter_context(gzip.GzipFile(fileobj=raw)), True
                yield io.BufferedReader(_Bounded(raw, size, self.name)) if packed else raw
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise UserError(f"{self.name} is damaged or cut short ({error}); download or write it again") from None

    def _raw(self, stack: contextlib.ExitStack) -> tuple[Any, int]:
        if not self.inner:
            return stack.enter_context(open(self.path, "rb")), self.path.stat().st_size
        archive = stack.enter_context(zipfile.ZipFile(self.path))
        try:
            opened = stack.enter_context(archive.open(self.inner))
        except (NotImplementedError, RuntimeError) as error:  # rare methods of compression
            raise UserError(f"{self.name} can't be unpacked ({error}); unpack it and name the folder") from None
        return opened, archive.getinfo(self.inner).compress_size

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        """Yield a file on disk with the unpacked content, for libraries that seek."""
        with self.open() as stream:
            if isinstance(stream, io.BufferedReader) and not isinstance(stream.raw, _Bounded):
                yield self.path
                return
            with tempfile.TemporaryDirectory(prefix="dacr-") as folder:
                target = Path(folder) / PurePosixPath(self.name).name
                with open(target, "wb") as file:
                    shutil.copyfileobj(stream, file, 2**20)
                yield target


class _Bounded(io.RawIOBase):
    """A stream that refuses to unpack to far more than it was: a bomb."""

    def __init__(self, raw: IO[bytes], size: int, name: str) -> None:
        self._raw, self._size, self._name, self._read = raw, max(size, 1), name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._read += len(data)
        if self._read > RATIO_FROM and self._read > MAX_RATIO * self._size:
            raise UserError(
                f"{self._name} unpacks to more than {MAX_RATIO} times its size; unpack it yourself if that is right"
            )
        return len(data)


def members(path: str | Path) -> list[Member]:
    """Return the files that ``path`` names: itself, those of a folder (hidden ones left out), of a glob, of a zip.

    Raises
    ------
    UserError
        Nothing there; a zip that is damaged, encrypted, or names a file outside itself.
    """
    text = str(path)
    if not Path(path).exists() and any(sign in text for sign in "*?["):
        found = [Path(name) for name in sorted(glob.glob(text, recursive=True)) if Path(name).is_file()]
        if not found:
            raise UserError(f"{text!r} matches no file; expected a glob such as 'results/*.jsonl'")
        return [member for one in found for member in _of_file(one, one.name)]
    if Path(path).is_dir():
        inside = sorted(Path(path).rglob("*"), key=lambda one: one.relative_to(path).parts)
        shown = [(one, one.relative_to(path)) for one in inside if one.is_file()]
        shown = [(one, name) for one, name in shown if not any(part.startswith(".") for part in name.parts)]
        if not shown:
            raise UserError(f"{text!r} is a folder without files; expected one with the recordings")
        return [member for one, name in shown for member in _of_file(one, name.as_posix())]
    return _of_file(files.existing_file(path), text)


def _of_file(path: Path, name: str) -> list[Member]:
    if path.suffix.lower() not in _ZIPS:
        return [Member(name.removesuffix(".gz"), path)]
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(f"{name} is no whole zip archive ({error}); download or write it again") from None
    for entry in entries:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
            raise UserError(f"{name} holds {entry.filename!r}, a path outside the archive; it was not read")
        if entry.flag_bits & 1:
            raise UserError(f"{name} is encrypted; unpack it yourself and name the folder")
    if not entries:
        raise UserError(f"{name} is an empty archive; expected one with the recordings")
    kept = [entry.filename for entry in entries if not PurePosixPath(entry.filename).name.startswith(".")]
    return [Member(f"{name}/{inner.removesuffix('.gz')}", path, inner) for inner in sorted(kept)]


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
        self._stream, self._name, self._by_line, self.since = stream, name, by_line, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read, and refuse what has no end."""
        data = self._stream.read(size)
        last = data.rfind(b"\n") if self._by_line else -1
        self.since = len(data) - last if last >= 0 else self.since + len(data)
        if self.since > MAX_VALUE:
            what = "line" if self._by_line else "JSON value"
            raise UserError(f"{self._name} holds a {what} of more than {MAX_VALUE:,} bytes; expected many records")
        return data


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
        for number, value in enumerate(ijson.items(stream, prefix, use_float=True), start=1):
            stream.since = 0
            yield f"{member.name}, record {number}", value


def pairs(member: Member) -> Iterator[tuple[str, Any]]:
    """Yield key and value of a JSON object, one after another."""
    with _document(member) as stream:
        for key, value in ijson.kvitems(stream, "", use_float=True):
            stream.since = 0
            yield key, value


def scalars(member: Member, wanted: Sequence[str]) -> dict[str, Any]:
    """Return some scalar values of a document by their paths (``eval.model``); absent ones are left out."""
    found: dict[str, Any] = {}
    with _document(member) as stream:
        for prefix, event, value in ijson.parse(stream, use_float=True):
            stream.since = 0
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
        for count, (prefix, _, _) in enumerate(ijson.parse(stream)):
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
