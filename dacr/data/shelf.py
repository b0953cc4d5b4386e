"""Rows of tables of any size on disk, in Arrow batches of a few MB, and where the rows of a finished table stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.types import Bools, Floats, Ints

_BATCH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Layout:
    """Where each outcome of the finished table stands.

    Attributes
    ----------
    row : (n_query, n_model) int
        Row of the shelf; -1 where an outcome is missing.
    query : (n_query,) int
        Codes of the queries that stay.
    models : tuple of str
        Sorted by name.
    n_merged, n_dropped, n_averaged : int
        Queries whose outcomes stood on several half-empty rows; queries left out; outcomes that are means of trials.
    mean : mapping of name to (n_query, n_model) float
        Means over trials, where there are any.
    """

    row: NDArray[np.integer]
    query: Ints
    models: tuple[str, ...]
    n_merged: int
    n_dropped: int
    n_averaged: int
    mean: dict[str, Floats]

    @property
    def n_missing(self) -> int:
        """Number of outcomes that were never recorded."""
        return int((self.row < 0).sum())


class Shelf:
    """Rows of one schema on disk, appended in order and taken by number."""

    def __init__(self, path: Path) -> None:
        self._path, self._schema = path, pa.schema([])
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self._starts = [0]
        self.nbytes = 0

    def __len__(self) -> int:
        return self._starts[-1]

    def add(self, columns: dict[str, pa.Array], source: str) -> None:
        """Append rows; the first ones fix the schema."""
        table = pa.table(columns)
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_file(str(self._path), table.schema)
        try:
            table = pa.table({name: columns[name] for name in self._schema.names}).cast(self._schema)
        except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UserError(f"{source}: its parts differ in their columns or in the kind of one ({error})") from None
        self.nbytes += table.nbytes
        rows = max(1, int(len(table) * _BATCH_BYTES / max(table.nbytes, 1)))
        for batch in table.to_batches(max_chunksize=rows):
            self._writer.write_batch(batch)
            self._starts.append(self._starts[-1] + len(batch))

    def batches(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the number of the first row, and the rows, of each batch."""
        for number, start in enumerate(self._starts[:-1]):
            yield start, self._read(number)

    def take(self, rows: NDArray[np.integer]) -> pa.Table:
        """Return rows by number, in the given order."""
        order = np.argsort(rows, kind="stable")
        numbers = np.searchsorted(self._starts, rows[order], side="right") - 1
        pieces = []
        for number in np.unique(numbers).tolist():
            local = rows[order][numbers == number] - self._starts[number]
            pieces.append(self._read(number).take(pa.array(local)))
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return pa.Table.from_batches(pieces, self._schema).combine_chunks().take(pa.array(back))

    def close(self) -> None:
        """Finish writing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _read(self, number: int) -> pa.RecordBatch:
        if self._reader is None:
            self.close()
            self._reader = pa.ipc.open_file(pa.OSFile(str(self._path)))
        return self._reader.get_batch(number)


def where_known(column: pa.ChunkedArray, known: Bools) -> pa.ChunkedArray:
    """Return a column that is null where it is not known, as outcomes that are missing."""
    return column if known.all() else pc.if_else(pa.array(known), column, pa.scalar(None, column.type))
