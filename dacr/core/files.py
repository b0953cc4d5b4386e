"""Files are written whole or not at all; paths that do not exist get a helpful error; where ``configs/`` is."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dacr.core import swap
from dacr.core.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]

# In a checkout they stand beside the package; a wheel holds them as dacr.configs.
CONFIGS: Path = next(
    (folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if (folder / "models.yaml").is_file()),
    _PACKAGE / "configs",
)
"""Folder of models.yaml, chain.yaml, rules.yaml, latency.yaml, scenarios.yaml, sweep.yaml and their like."""


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it onto ``target`` if the block succeeds.

    The file is flushed to disk before the rename. If the block raises, the temporary file is removed
    and an earlier ``target`` stays as it was.
    """
    target = Path(target)
    if target.is_dir():
        raise UserError(f"{str(target)!r} is a folder, expected a file to write")
    make_folder(target.parent)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that replaces ``target`` if the block succeeds.

    An earlier ``target`` is moved aside, replaced and then deleted; if the block raises it stays.
    """
    target = Path(target)
    make_folder(target.parent)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    old = fresh.with_suffix(".old")
    try:
        yield fresh
        os.chmod(fresh, 0o777 & ~_umask())
        if target.exists():
            os.replace(target, old)
        os.replace(fresh, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(target: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_jsonl(target: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object per line, whole or not at all; return the number of lines."""
    count = 0
    with atomic_path(target) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(
    path: str | Path, fields: Mapping[str, float | None] | None = None, made_by: str = ""
) -> list[dict[str, Any]]:
    """Read one JSON object per line; a line that is none is a :class:`UserError` with its number.

    Parameters
    ----------
    fields : mapping, optional
        What every line has to have: a text (None), or a number that is at least the one given.
    """
    path = existing_file(path, made_by)
    rows: list[dict[str, Any]] = []
    try:
        with open(path, encoding="utf-8-sig") as file:  # editors of Windows begin files with a byte order mark
            for number, line in enumerate(file, start=1):
                if line.strip():
                    rows.append(_object(line, f"{path}, line {number}"))
                    _require(rows[-1], fields or {}, f"{path}, line {number}")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; expected JSON lines, one object a line") from None
    if not rows:
        raise UserError(f"{path} holds no lines; run the stage that writes it again")
    return rows


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise UserError(f"{where}: not JSON ({what}); expected one object a line") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def _require(row: Mapping[str, Any], fields: Mapping[str, float | None], where: str) -> None:
    missing = [name for name in fields if name not in row]
    if missing:
        raise UserError(f"{where}: fields {missing} are missing; expected {list(fields)}; write the file again")
    for name, lowest in fields.items():
        value = row[name]
        if lowest is None:
            if not isinstance(value, str):
                raise UserError(f"{where}: {name} must be a string, got {value!r}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value < float("inf"):
            raise UserError(f"{where}: {name} must be a number of at least {lowest:g}, got {value!r}")


def read_yaml(path: str | Path, made_by: str = "") -> Any:
    """Read a YAML file as plain data; None where it is empty.

    Raises
    ------
    UserError
        No such file, not UTF-8, or not YAML.
    """
    import yaml  # here: most stages read none

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it can be: a tenth of the time

    path = existing_file(path, made_by)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def sha256(path: str | Path) -> str:
    """Return the hex SHA-256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: str | Path) -> Path:
    """Create a folder with its parents; a file in the way is a :class:`UserError`."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{str(path)!r} should be a folder, but a file stands in the way; name another") from None
    return path


def existing_file(path: str | Path, made_by: str = "") -> Path:
    """Return ``path`` if it is a file, else raise with the nearest path that exists.

    Parameters
    ----------
    made_by : str
        The command that writes this file, to be named in the error.
    """
    path = Path(path)
    if path.is_file():
        return path
    hint = f"; run {made_by} first" if made_by else ""
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder, expected a file{hint}")
    raise UserError(f"no such file: {str(path)!r}; {_nearest(path)}{hint}")


def existing_folder(path: str | Path, made_by: str = "") -> Path:
    """Return ``path`` if it is a folder, else raise with the nearest path that exists.

    Where a run was killed while it put its files in place they are first put there (:mod:`dacr.core.swap`).
    """
    path = Path(path)
    hint = f"; run {made_by} first" if made_by else ""
    if path.is_dir():
        try:
            swap.settle(path)
        except OSError as error:
            raise UserError(
                f"{str(path)!r}: a run was stopped while it put its files in place, and this process can't finish that "
                f"({error.strerror or error}); mend its permissions{hint.replace('first', 'again')}"
            ) from None
        return path
    if path.is_file():
        raise UserError(f"{str(path)!r} is a file, expected a folder{hint}")
    raise UserError(f"no such folder: {str(path)!r}; {_nearest(path)}{hint}")


def _nearest(path: Path) -> str:
    import difflib

    folder = path.parent
    if folder.is_dir():
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
        if near:
            return f"the nearest that exists is {str(folder / near[0])!r}"
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return f"the nearest that exists is the folder {str(folder)!r}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
