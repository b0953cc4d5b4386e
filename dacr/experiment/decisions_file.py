"""The file of all decisions: written part by part, by a thread of its own."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_NAMED = ["policy", "setting", "seed", "domain", "model"]
"""Columns of which each part of the file says what values it has: readers can pass over parts."""
_DICTIONARY = [
    *_NAMED, "qid", "attempts", "slo_violation", "lambda_cost", "quality", "cost", "latency_s", "propensity"
]  # fmt: skip
"""Columns of few values, or of recorded ones that come again with every run."""


class DecisionsFile:
    """A Parquet file that grows by one table at a time.

    Encoding and compression let go of the interpreter, so that they run beside the work on the next table. At
    most one table waits: memory stays bounded. Row groups come in the order in which tables were given.

    Parameters
    ----------
    path : Path
        Created with the first table, whose schema is that of all.
    metadata : dict of bytes
        Kept in the file.
    """

    def __init__(self, path: Path, metadata: dict[bytes, bytes]) -> None:
        self._path, self._metadata = path, metadata
        self._writer: pq.ParquetWriter | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._underway: Future[None] | None = None

    def write(self, table: pa.Table) -> None:
        """Append a table; an error of the one before is raised here."""
        self._wait()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
        self._underway = self._thread.submit(self._append, table)

    def close(self) -> None:
        """Write what waits, and the footer."""
        try:
            self._wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()

    def _wait(self) -> None:
        if self._underway is not None:
            underway, self._underway = self._underway, None
            underway.result()

    def _append(self, table: pa.Table) -> None:
        if self._writer is None:
            # Shed requests have no model; elsewhere no place is empty, and nothing need say so of each.
            fields = [field.with_nullable(field.name == "model") for field in table.schema]
            self._writer = pq.ParquetWriter(
                self._path,
                pa.schema(fields, self._metadata),
                compression="snappy",  # zstd packs what dictionaries leave a tenth more, in a third more time
                use_dictionary=_DICTIONARY,
                column_encoding={"t": "DELTA_BINARY_PACKED"},
                write_statistics=_NAMED,
                write_batch_size=2**16,
            )
        self._writer.write_table(table.cast(self._writer.schema))
