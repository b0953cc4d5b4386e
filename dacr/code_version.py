"""Which code this is: a hash over the package's sources, for results that are kept by content."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import numpy as np
import scipy

_PACKAGE = Path(__file__).resolve().parent


def code_version(package: Path = _PACKAGE) -> str:
    """Return a hex hash over every source file of the package, as it stands on disk now.

    A change of any line gives another hash: coarse, but it can't be forgotten as a version number can.
    """
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\x1e{len(content)}\x1e".encode() + content)
    return digest.hexdigest()[:32]


def numerics() -> str:
    """Name what sums and logarithms round with: the interpreter, its numeric libraries, the kind of machine."""
    return f"{platform.python_version()} {np.__version__} {scipy.__version__} {platform.machine()}"
