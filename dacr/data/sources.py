"""Files as people have them: one file, a folder, a glob, a zip, gzipped; opened as streams, within bounds.

Nothing is unpacked to disk but what a library has to seek in, and nothing is read whole: a line, a JSON value and the
ratio of an archive are bounded, so that memory is the same for any size of input.
"""

import contextlib
import glob
import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dacr.core import files
from dacr.core.errors import UserError

MAX_RATIO, RATIO_FROM = 200, 100 * 2**20
"""How many times its size a compressed file may unpack to, once it unpacks to more than so many bytes."""
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
