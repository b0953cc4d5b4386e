"""A cache of arrays by content hash: work that many experiments share is done once.

The name of an entry is a hash over what its computation reads, over the sources that it can depend on and over the
versions of the numeric libraries. Entries are made by replays and by what stands below them, and rooms import only
those below (a test holds them to it), so a change above, to a figure or a study, leaves entries as they are. A
changed line below makes all of them cold: dear once, but nobody has to remember a version number, and what older code
made is never served. What parts from outside the package make is not kept, as no hash covers their code; nor is what
is made once a process may have imported sources that changed since it began.

One ``.npz`` file per entry under ``DACR_CACHE_DIR`` (default: the user's cache folder), written whole
or not at all, so that concurrent writers are safe: they write the same bytes. A file that can't be
read is computed again. When the folder passes its limit the entries used longest ago go.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import platformdirs

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.manifest import installed

Arrays = dict[str, np.ndarray]
ABOVE = ("report", "experiment", "live", "envs", "contracts")
"""Rooms that nothing below imports: what is kept does not depend on them."""

_ALONE = "array"  # the name of an array that has none

_PACKAGE = Path(__file__).resolve().parents[1]


class Cache:
    """Arrays by content hash.

    Parameters
    ----------
    folder : path or None
        None turns the cache off.
    limit_bytes : int
        What the folder may hold.
    """

    def __init__(self, folder: Path | None, limit_bytes: int = 4 * 2**30) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        if folder is not None:
            loaded_code()  # now, while the files are still those that this process runs

    @classmethod
    def from_environment(cls, enabled: bool = True) -> Cache:
        """Return the cache that ``DACR_CACHE_DIR`` and ``DACR_CACHE_GIB`` name."""
        if not enabled:
            return cls(None)
        chosen = os.environ.get("DACR_CACHE_DIR")
        limit = os.environ.get("DACR_CACHE_GIB", "4")
        try:
            limit_bytes = int(float(limit) * 2**30)
        except ValueError:
            raise UserError(f"DACR_CACHE_GIB should be a number of GiB such as 4, got {limit!r}") from None
        return cls(Path(chosen) if chosen else Path(platformdirs.user_cache_dir("dacr")), limit_bytes)

    def get(
        self, kind: str, parts: Mapping[str, Any], compute: Callable[[], Arrays], made_by: Sequence[Any] = ()
    ) -> Arrays:
        """Return what ``compute`` returns, from the cache where it was computed before.

        Parameters
        ----------
        kind : str
            Names the computation.
        parts : mapping
            Everything that the result depends on, but for code: plain values, arrays, lists of strings.
        made_by : sequence of types and functions
            The registered parts that compute. Where one is not the package's own nothing is kept.
        """
        if self.folder is None or not all(is_own(part) for part in made_by):
            return compute()
        name = self.name(kind, parts)
        arrays = self.find(name)
        if arrays is None:
            arrays = compute()
            self.put(name, arrays)
        return arrays

    def call(self, function: Callable[..., Any], *args: Any, made_by: Sequence[Any] = ()) -> Any:
        """Return what a function gives for these arguments, all that it reads, from the cache where it did so before.

        It gives an array, or arrays by name.

        Parameters
        ----------
        function : callable
            Kept are the results of the package's own that stand below :data:`ABOVE`; ``made_by`` as in :meth:`get`.
        args
            Plain values, arrays, and lists, mappings and dataclasses of them.
        """
        parts = {"function": f"{function.__module__}.{function.__qualname__}", "args": args}

        def compute() -> Arrays:
            result = function(*args)
            return result if isinstance(result, dict) else {_ALONE: result}

        found = self.get(function.__name__, parts, compute, made_by=(function, *made_by))
        return found.get(_ALONE, found)

    @staticmethod
    def name(kind: str, parts: Mapping[str, Any]) -> str:
        """Return the name of an entry: its kind, and a hash over the content of its parts and over the code."""
        content = {"code": loaded_code(), "numerics": numerics(), "parts": content_hash(parts)}
        return f"{kind}-{content_hash(content)}"

    def find(self, name: str) -> Arrays | None:
        """Return the entry of a name, which its content must determine; None where there is none that can be read."""
        if self.folder is None:
            return None
        path = self.folder / f"{name}.npz"
        try:
            # A file opened here is closed even where numpy finds no archive in it.
            with open(path, "rb") as source, np.load(source, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            os.utime(path)
            return arrays
        except (OSError, ValueError, BadZipFile, KeyError, EOFError):
            return None

    def put(self, name: str, arrays: Arrays) -> None:
        """Write an entry, whole or not at all; not where other code than the key names may have made it."""
        if self.folder is None or not _is_loaded_code(len(sys.modules)):
            return
        path = self.folder / f"{name}.npz"
        try:
            with files.atomic_path(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            self._trim()
        except (OSError, UserError):
            pass  # A cache that can't be written costs time, not results.

    def _trim(self) -> None:
        assert self.folder is not None
        entries = []
        for path in self.folder.glob("*.npz"):
            try:
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:
                continue  # Another process trimmed it.
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def content_hash(parts: Mapping[str, Any]) -> str:
    """Return a hex hash over names and contents: values by ``repr``, arrays by dtype, shape and bytes."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(name.encode() + b"\x1e")
        _feed(digest, parts[name])
    return digest.hexdigest()[:32]


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, (list, tuple, np.ndarray)) and len(value) and isinstance(value[0], str):
        # With their lengths: ["a", "b"] is not ["ab"].
        for text in value:
            raw = text.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(raw) + raw)
    elif hasattr(value, "buffers"):
        digest.update(f"{value.type}{value.offset}/{len(value)}".encode())  # slices share their buffers
        for buffer in value.buffers():
            if buffer is not None:
                digest.update(buffer)
    elif isinstance(value, Mapping) or is_dataclass(value):
        # What is inside, whole: ``repr`` shows the ends of a long array.
        parts = value if isinstance(value, Mapping) else vars(value)
        digest.update(f"{type(value).__name__} {content_hash(parts)}".encode())
    elif isinstance(value, (list, tuple)) and not all(isinstance(one, (int, float)) for one in value):
        digest.update(b"%d[" % len(value))
        for one in value:
            _feed(digest, one)
    else:
        digest.update(repr(value).encode() + b"\x1f")


def code_version(package: Path = _PACKAGE, without: tuple[str, ...] = ()) -> str:
    """Return a hex hash over every source file of the package, as it stands on disk now.

    A change of any line gives another hash: coarse, but it can't be forgotten as a version number can. ``without``
    names folders that are left out.
    """
    digest, skipped, start = hashlib.sha256(), tuple(f"/{name}/" for name in without), len(str(package))
    for folder, names in sorted((folder, names) for folder, _, names in os.walk(package)):
        place = folder[start:].replace(os.sep, "/")
        if not f"{place}/".startswith(skipped):
            for name in sorted(name for name in names if name.endswith(".py")):
                with open(f"{folder}/{name}", "rb") as file:
                    content = file.read()
                digest.update(f"{place}/{name}\x1e{len(content)}\x1e".encode() + content)
    return digest.hexdigest()[:32]


@functools.cache
def loaded_code() -> str:
    """Return :func:`code_version` of what entries depend on, as this process first found it: the code that it runs."""
    return code_version(without=ABOVE)


@functools.lru_cache(maxsize=1)
def _is_loaded_code(n_module: int) -> bool:
    """Say whether sources are still those of :func:`loaded_code`; asked again where imports may have read others."""
    return code_version(without=ABOVE) == loaded_code()


@functools.cache
def numerics() -> str:
    """Name what results may round with: the interpreter, its numeric libraries, the kind of machine."""
    libraries = map(installed, ("numpy", "numba", "scipy", "scikit-learn", "venn-abers", "pandas", "pyarrow"))
    return " ".join((platform.python_version(), *libraries, platform.machine()))


def is_own(part: Any) -> bool:
    """Say whether the key covers all code of a class or function: the package's own, of rooms that it covers."""
    rooms = [base.__module__.split(".")[:2] for base in getattr(part, "__mro__", (part,))]
    return all(room[0] == "builtins" or (room[0] == "dacr" and room[-1] not in ABOVE) for room in rooms)


def identity(part: type) -> str:
    """Name a registered part and the parameters that it has by default."""
    params: dict[str, Any] = part().params
    return f"{part.__module__}.{part.__qualname__} {params}"
