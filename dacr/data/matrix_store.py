"""A table on disk as matrices that are mapped, not read: for more outcomes than memory holds as text rows.

A folder, written whole or not at all:

====================  ===========================================================================
``quality.npy``       (n_query, n_model) float64
``cost_usd.npy``      (n_query, n_model) float64, USD per call
``latency_s.npy``     (n_query, n_model) float64, seconds; only where recorded
``output_tokens.npy`` (n_query, n_model) float64; only where responses or counts were given
``queries.parquet``   qid, prompt, domain of each row
``manifest.json``     models, shape, the checksum of each file above, and what made them
====================  ===========================================================================

The numbers are those of the long table, digit for digit, so that an experiment gives the same decisions on either.
Responses are not kept: their tokens are counted when the store is made.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError

KIND = "dacr matrix store"
REQUIRED = ("quality", "cost_usd")
OPTIONAL = ("latency_s", "output_tokens")
_BLOCK_CELLS = 2**22
_QUERIES = 10_000
MANIFEST = "manifest.json"
QUERIES = "queries.parquet"
SUFFIX = ".store"
"""What the name of an output ends in where a store is wanted rather than a long table."""

_MADE_BY = "python scripts/prepare_routerbench.py --out NAME.store"


def is_store(path: str | Path) -> bool:
    """Say whether ``path`` is a folder with the manifest of a store."""
    return (Path(path) / MANIFEST).is_file()


def create(folder: Path, name: str, shape: tuple[int, int]) -> np.memmap[Any, Any]:
    """Create one matrix of NaN in ``folder``, mapped for writing.

    Its space is taken first: to write into a map that the disk has no room for would kill the process.
    """
    path = folder / f"{name}.npy"
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=shape)
    with open(path, "rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    for block in blocks(shape):
        matrix[block] = np.nan
    return matrix


def finish(
    folder: Path,
    qid: NDArray[np.object_],
    domain: NDArray[np.object_],
    prompts: Callable[[slice], NDArray[np.object_]],
    models: tuple[str, ...],
    about: Mapping[str, Any],
) -> None:
    """Write axes and manifest beside the matrices that stand in ``folder``.

    Parameters
    ----------
    prompts : callable
        Returns those of a stretch of queries: all at once they may be more than memory holds.
    """
    text = pa.large_string()
    schema = pa.schema([(name, text) for name in ("qid", "prompt", "domain")])
    with pq.ParquetWriter(folder / QUERIES, schema, compression="zstd") as writer:
        for start in range(0, len(qid), _QUERIES):
            part = slice(start, start + _QUERIES)
            texts = {"qid": qid[part], "prompt": prompts(part), "domain": domain[part]}
            writer.write_table(pa.table({name: pa.array(values, type=text) for name, values in texts.items()}))
    sums = {path.name: files.sha256(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = {**about, "kind": KIND, "n_query": len(qid), "models": list(models), "sha256": sums}
    files.write_json(folder / MANIFEST, manifest)


def require_replaceable(out: str | Path) -> None:
    """Raise :class:`UserError` where ``out`` is something other than a store."""
    out = Path(out)
    if out.exists() and not is_store(out):
        raise UserError(f"{str(out)!r} exists and is no matrix store; name another, such as {str(out) + '.store'!r}")


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the rows of a matrix into pieces of some 30 MB."""
    step = max(1, _BLOCK_CELLS // max(shape[1], 1))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def manifest_of(path: str | Path) -> dict[str, Any]:
    """Read a store's manifest; a folder that is no store is a :class:`UserError`."""
    path = Path(path)
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no matrix store ({error}); write one with {_MADE_BY}") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise UserError(f"{path} holds no matrix store but another manifest; write one with {_MADE_BY}")
    return manifest


def open_matrices(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Map the matrices that a store has, read-only: name to (n_query, n_model).

    Raises
    ------
    UserError
        A matrix is missing, cut short, or of another shape than the manifest says.
    """
    path, manifest = Path(path), manifest_of(path)
    shape = (int(manifest["n_query"]), len(manifest["models"]))
    found: dict[str, NDArray[np.float64]] = {}
    for name in (*REQUIRED, *OPTIONAL):
        file = path / f"{name}.npy"
        if file.name not in manifest["sha256"]:
            if name in REQUIRED:
                raise UserError(f"{path} has no {file.name}; write it again with {_MADE_BY}")
            continue
        try:
            matrix = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{file} can't be mapped ({error}); write the store again with {_MADE_BY}") from None
        if matrix.shape != shape or matrix.dtype != np.float64:
            raise UserError(
                f"{file}: expected float64 of shape {shape}, got {matrix.dtype} of {matrix.shape}; write the store "
                f"again with {_MADE_BY}"
            )
        found[name] = matrix
    return found


def read_axes(path: str | Path) -> dict[str, NDArray[np.object_]]:
    """Return ``qid``, ``prompt`` and ``domain``, each (n_query,)."""
    file = files.existing_file(Path(path) / QUERIES)
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} can't be read ({error}); write the store again with {_MADE_BY}") from None
    axes = {name: np.array(table.column(name).to_pylist(), dtype=object) for name in ("qid", "prompt", "domain")}
    known: dict[str, str] = {}
    axes["domain"] = np.array([known.setdefault(name, name) for name in axes["domain"]], dtype=object)
    return axes
