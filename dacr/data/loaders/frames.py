"""Tables read in parts: Parquet, CSV, JSON, or a pickled frame (whole, since a pickle is one value)."""

import contextlib
import io
from collections.abc import Collection, Iterator
from itertools import islice
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dacr.core.errors import UserError
from dacr.data import pickles
from dacr.data.loaders.json_records import JSON, Paced, records
from dacr.data.sources import Member

VALUES_PER_CHUNK = 2_000_000
"""Rows x columns of a chunk: a wide file gets fewer rows."""
_WHOLE = 2**40
_handed: dict[Member, Any] = {}
"""A pickle that was read to know its columns, until its rows are asked for: it is read whole either way."""

_MODEL = ("model", "model_name")
_REPEATED = ("qid", "sample_id", "prompt", "domain", "eval_name", "source", *_MODEL)
_TEXTS = {*_REPEATED, "response", "prompt_id", "model_id", "id", "question", "query", "category", "dataset", "split"}


def columns(member: Member) -> Collection[str]:
    """Return the columns of a table without reading its rows; those of a pickle are known once it is read."""
    kind = _kind(member)
    with _said(member):
        if kind == "parquet":
            with member.local() as path:
                return _once(pq.read_schema(path).names, member)
        if kind == "csv":
            with member.open() as stream:
                return _header(stream, member)
        if kind == "json":
            return _once([str(name) for name in next(frames(member)).columns], member)
        with member.local() as path:
            _handed[member] = pickles.load(path, kind=(pd.DataFrame, dict))
        return _once([str(name) for name in _handed[member]], member)


def frames(member: Member, by_chunks: bool = True) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table, a chunk at a time, or at once."""
    kind = _kind(member)
    with _said(member):
        if kind == "parquet":
            with member.local() as path:
                yield from _parquet(path, member, by_chunks)
        elif kind == "csv":
            yield from _csv(member, by_chunks)
        elif kind == "json":
            rows = records(member)
            n_row = max(1, VALUES_PER_CHUNK // 100) if by_chunks else _WHOLE
            while batch := list(islice(rows, n_row)):
                yield pd.DataFrame(batch)
        else:
            frame = _handed.pop(member, None)
            if not isinstance(frame, pd.DataFrame):
                with member.local() as path:
                    frame = pickles.load(path)
            _once([str(name) for name in frame.columns], member)
            yield frame


def _kind(member: Member) -> str:
    with member.open() as stream:
        start = stream.read(4)
    if start == b"PAR1":
        return "parquet"
    if member.suffix in (".csv", ".tsv"):
        return "csv"
    return "json" if member.suffix in JSON else "pickle"


@contextlib.contextmanager
def _said(member: Member) -> Iterator[None]:
    """Turn what a library says of a damaged file into one line."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{member.name} can't be read, truncated? ({error}); download or write it again") from None


def _once(names: list[str], member: Member) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise UserError(f"{member.name}: column {twice[0]!r} stands twice; drop or rename one")
    return names


def _parquet(path: Any, member: Member, by_chunks: bool) -> Iterator[pd.DataFrame]:
    schema = pq.read_schema(path)
    names = _once(schema.names, member)
    if not by_chunks:
        yield pd.read_parquet(path)
        return
    # Texts that repeat arrive as categories: a prompt stands once per model in a long file. In a wide one none does,
    # and a reader keeps every text that it has met. Group by group, so that it starts afresh.
    is_long = not set(names).isdisjoint(_MODEL)
    flat = [name for name in _REPEATED if name in names and not pa.types.is_nested(schema.field(name).type)]
    repeated = flat if is_long else []
    n_row = max(1, VALUES_PER_CHUNK // len(names))
    with pq.ParquetFile(path, read_dictionary=repeated, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=n_row, row_groups=[group]):
                yield batch.to_pandas()


def _csv(member: Member, by_chunks: bool) -> Iterator[pd.DataFrame]:
    """Read texts as they are written: only an empty field is missing, and "007" is no number."""
    with member.open() as stream:
        names = _header(stream, member)
    with member.open() as stream:
        reader = pd.read_csv(
            io.TextIOWrapper(
                io.BufferedReader(Paced(stream, member.name, by_line=True)), encoding="utf-8-sig", newline=""
            ),
            sep="\t" if member.suffix == ".tsv" else ",",
            dtype={name: str for name in names if name in _TEXTS or name.endswith(("response", "_id"))},
            keep_default_na=False,
            na_values=[""],
            chunksize=max(1, VALUES_PER_CHUNK // len(names)) if by_chunks else _WHOLE,
        )
        yield from reader


def _header(stream: IO[bytes], member: Member) -> list[str]:
    start = io.BytesIO(stream.read(2**20).split(b"\n\n", 1)[0])
    sep = "\t" if member.suffix == ".tsv" else ","
    row = pd.read_csv(start, sep=sep, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return _once([str(name) for name in row.iloc[0]], member)
