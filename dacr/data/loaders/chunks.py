"""Read a table in chunks of rows, so that a file larger than memory can pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data.loaders.base import Loader, read_frame

VALUES_PER_CHUNK = 2_000_000
"""Rows x columns of a chunk: a wide file gets fewer rows."""

_MODEL = ("model", "model_name")
_REPEATED = ("qid", "sample_id", "prompt", "domain", "eval_name", "source", *_MODEL)


def column_names(path: str | Path) -> list[str] | None:
    """Return the columns of a Parquet or CSV file without reading its rows; None of any other file."""
    path = files.existing_file(path)
    try:
        if _is_parquet(path):
            return list(pq.read_schema(path).names)
        if path.suffix.lower() == ".csv":
            return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} can't be read, truncated? ({error}); download or write it again") from None
    return None


def long_chunks(path: str | Path, loader: Loader) -> Iterator[pd.DataFrame]:
    """Yield chunks of the long table of a file, by its loader.

    Parquet and CSV are read in chunks of rows where the loader can convert them by themselves
    (``Loader.by_chunks``); anything else is one chunk.
    """
    names = column_names(path) if loader.by_chunks else None
    if names is None:
        yield loader.load(path)
        return
    n_row = max(1, VALUES_PER_CHUNK // len(names))
    for frame in frames(path, n_row):
        yield loader.convert(frame)


def frames(path: str | Path, n_row: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of a Parquet or CSV file, ``n_row`` at a time."""
    path = files.existing_file(path)
    try:
        if not _is_parquet(path):
            if path.suffix.lower() != ".csv":
                yield read_frame(path)
                return
            with pd.read_csv(path, chunksize=n_row) as reader:
                yield from reader
            return
        present = set(pq.read_schema(path).names)
        # Texts that repeat arrive as categories: a prompt stands once per model in a long file. In a wide one none
        # does, and a reader keeps every text that it has met. Group by group, so that it starts afresh.
        is_long = not present.isdisjoint(_MODEL)
        repeated = [name for name in _REPEATED if name in present] if is_long else []
        with pq.ParquetFile(path, read_dictionary=repeated, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=n_row, row_groups=[group]):
                    yield batch.to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} can't be read, truncated? ({error}); download or write it again") from None


def _is_parquet(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"
