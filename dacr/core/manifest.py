"""What made this result: code, command, configuration, inputs and versions.

A manifest holds no time of day, so that the same command twice writes the same bytes.
"""

import functools
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dacr import __version__
from dacr.core import files

METADATA_KEY = b"dacr_manifest"
_PACKAGES = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib")


def build(
    stage: str, config: Mapping[str, Any], inputs: Mapping[str, str | Path] | None = None, **more: Any
) -> dict[str, Any]:
    """Describe a run of ``stage``: JSON-able, without times.

    Parameters
    ----------
    config : mapping
        Every setting in force, defaults included; secrets must not be in it.
    inputs : mapping of role to path
        Files that were read; each is recorded with its size and SHA-256.
    more
        What else the stage wants told (coverage, counts, checks).
    """
    return {
        "stage": stage,
        "dacr": __version__,
        "git": _git(),
        "argv": list(sys.argv),
        "config": {key: _plain(value) for key, value in config.items()},
        "inputs": {role: _file(Path(path)) for role, path in (inputs or {}).items()},
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in _PACKAGES},
        **more,
    }


def to_metadata(manifest: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Encode a manifest for Parquet's key-value metadata."""
    return {METADATA_KEY: json.dumps(manifest, sort_keys=True).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """Decode the manifest of a Parquet file; empty where there is none."""
    if not metadata or METADATA_KEY not in metadata:
        return {}
    return json.loads(metadata[METADATA_KEY])


def _file(path: Path) -> dict[str, Any]:
    if path.is_dir():  # a matrix store: its manifest holds the checksum of each of its files
        return _file(path / "manifest.json") | {"path": str(path)}
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": files.sha256(path)}


@functools.cache
def installed(package: str) -> str:
    """Return the version of a package, in words where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@functools.cache
def _git() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"commit": "unknown", "dirty": None}

    def run(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return {"commit": run("rev-parse", "HEAD") or "unknown", "dirty": bool(run("status", "--porcelain"))}
    except (OSError, subprocess.TimeoutExpired):
        return {"commit": "unknown", "dirty": None}
