"""A JSON-lines log that survives kill -9: each line is written whole, a torn last line is repaired."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dacr.core import files
from dacr.core.errors import UserError


class Journal:
    """Append-only log of one writer.

    A line goes to the kernel as soon as it is appended, so that a killed process loses nothing that it
    finished; :meth:`sync` forces lines to the disk in batches, which guards against a power cut.

    Parameters
    ----------
    path : path
        Created if need be. Lines of an earlier run are read into :attr:`rows`.

    Raises
    ------
    UserError
        A line in the middle that is not JSON; another process is writing this file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        files.make_folder(self.path.parent)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            self.rows, self.repaired = self._recover()
        except BaseException:
            os.close(self._file)
            raise
        self._dirty = self.repaired

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one object as one line."""
        data = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        while data:
            data = data[os.write(self._file, data) :]
        self._dirty = True

    def sync(self) -> None:
        """Force what was appended to the disk (a no-op when nothing was)."""
        if self._dirty:
            self._dirty = False
            os.fsync(self._file)

    def close(self) -> None:
        """Sync, release the lock, close. May be called twice."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is writing {self.path}; wait for it, or give another --out") from None

    def _recover(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the rows on file, and whether the last line had to be cut off or completed."""
        data = self.path.read_bytes()
        whole, newline, tail = data.rpartition(b"\n")
        rows = []
        for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
            if not line.strip():
                continue
            row = _parsed(line)
            if row is None:
                raise UserError(
                    f"{self.path}, line {number}: not a JSON object; remove that line, or give another --out"
                )
            rows.append(row)
        if not tail:
            return rows, False
        last = _parsed(tail)
        if last is not None:
            rows.append(last)
            os.write(self._file, b"\n")
        else:
            os.ftruncate(self._file, len(data) - len(tail))
        return rows, True


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
