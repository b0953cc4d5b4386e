"""Which code this is: a hash over the package's sources, for results that are kept by content."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]


def code_version(package: Path = _PACKAGE, without: tuple[str, ...] = ()) -> str:
    """Return a hex hash over every source file of the package, as it stands on disk now.

    A change of any line gives another hash: coarse, but it can't be forgotten as a version number can. ``without``
    names folders that are left out.
    """
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).as_posix().startswith(tuple(f"{name}/" for name in without)):
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\x1e{len(content)}\x1e".encode() + content)
    return digest.hexdigest()[:32]


@functools.cache
def loaded_code() -> str:
    """Return :func:`code_version` as it was when this process first asked: the code that it runs."""
    return code_version()


@functools.cache
def numerics() -> str:
    """Name what results may round with: the interpreter, its numeric libraries, the kind of machine."""
    libraries = (_version(name) for name in ("numpy", "scipy", "scikit-learn", "venn-abers", "pandas", "pyarrow"))
    return " ".join((platform.python_version(), *libraries, platform.machine()))


def is_own(part: type) -> bool:
    """Say whether all code of a class is the package's, so that :func:`code_version` covers it."""
    return all(base.__module__.split(".")[0] in ("dacr", "builtins") for base in part.__mro__)


def identity(part: type) -> str:
    """Name a registered part and the parameters that it has by default."""
    params: dict[str, Any] = part().params
    return f"{part.__module__}.{part.__qualname__} {params}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
