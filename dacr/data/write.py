"""Write a table chunk by chunk, as Parquet or as a matrix store: memory stays that of one chunk."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core import manifest as manifests
from dacr.core.errors import UserError
from dacr.data import matrix_store, schema
from dacr.data.gather import Gathered
from dacr.data.shelf import Layout
from dacr.data.tokens import output_tokens

REPEATED = ("qid", "prompt", "domain", "model", "family")
"""Columns whose texts repeat: dictionary-encoded in the file and in memory."""


@dataclass
class Summary:
    """What was written, summed while it passes.

    Attributes
    ----------
    models : tuple of str
    quality, cost, count : (n_model,) float
        Sums over queries, in the order of ``models``, and how many of them were recorded; cost in USD.
    """

    n_query: int = 0
    models: tuple[str, ...] = ()
    domains: set[str] = field(default_factory=set)
    quality: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0))
    cost: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0))
    count: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0))

    def add(self, chunk: pd.DataFrame) -> None:
        """Count a chunk of whole queries, models in one order."""
        if not self.models:
            self.models = models_of(chunk)
            self.quality, self.cost, self.count = np.zeros((3, len(self.models)))
        shape = (-1, len(self.models))
        self.n_query += len(chunk) // len(self.models)
        self.domains |= set(chunk["domain"].unique())
        quality, cost = (chunk[name].to_numpy().reshape(shape) for name in ("quality", "cost"))
        self.quality += np.nansum(quality, axis=0)
        self.cost += np.nansum(cost, axis=0)
        self.count += np.isfinite(quality).sum(axis=0)

    def means(self) -> pd.DataFrame:
        """Return ``model, mean_quality, mean_cost`` (USD per query) over the queries where each was recorded."""
        return pd.DataFrame(
            {"model": self.models, "mean_quality": self.quality / self.count, "mean_cost": self.cost / self.count}
        )


def models_of(chunk: pd.DataFrame) -> tuple[str, ...]:
    """Return the models of the first query, in their order."""
    return tuple(chunk["model"].iloc[: chunk["model"].nunique()].astype(str))


def write_long(out: str | Path, chunks: Iterable[pd.DataFrame], manifest: Mapping[str, Any]) -> Summary:
    """Write long-table chunks as row groups of one Parquet file, whole or not at all.

    Parameters
    ----------
    chunks : iterable of DataFrame
        Whole queries each, every query with every model, models in one order.

    Raises
    ------
    UserError
        No chunk, or one that is not complete or has other models than the first.
    """
    summary = Summary()
    metadata = manifests.to_metadata(manifest)

    def tables() -> Iterator[pa.Table]:
        for chunk in chunks:
            models, names = summary.models or models_of(chunk), chunk["model"].astype(str).to_numpy()
            if len(names) % len(models) or (names.reshape(-1, len(models)) != np.array(models, dtype=object)).any():
                raise UserError(f"every query has to have the models {list(models)} in this order")
            summary.add(chunk)
            yield _to_arrow(chunk).replace_schema_metadata(metadata)

    write_tables(
        out,
        tables(),
        dictionary_pagesize_limit=2**28,  # a row group's prompts stand in it once
        write_statistics=["quality", "cost"],
    )
    return summary


def write_store(out: str | Path, gathered: Gathered, layout: Layout, about: Mapping[str, Any]) -> Summary:
    """Write a matrix store, whole or not at all; ``about`` goes into its manifest."""
    matrix_store.require_replaceable(out)
    shape = layout.row.shape
    place = np.full(len(gathered.qid), -1, dtype=np.int64)
    place[layout.query] = np.arange(shape[0])
    column = gathered.columns(layout)
    names = {"quality": "quality", "cost": "cost_usd", "latency_s": "latency_s", "output_tokens": "output_tokens"}
    with files.atomic_folder(out) as folder:
        matrices: dict[str, np.memmap[Any, Any]] = {}
        for start, batch in gathered.numbers():
            present = set(batch.schema.names) - gathered.unrecorded()
            values = {name: batch[name].to_numpy() for name in names if name in present}
            if "output_tokens" not in values and "response" in batch.schema.names and gathered.has_response:
                values["output_tokens"] = output_tokens(batch["response"], 1)[:, 0]
            cell = place[batch["query"].to_numpy()], column[batch["model"].to_numpy()]
            used = (cell[0] >= 0) & (layout.row[cell] == start + np.arange(len(batch)))
            for name, numbers in values.items():
                if names[name] not in matrices:
                    matrices[names[name]] = matrix_store.create(folder, names[name], shape)
                matrices[names[name]][cell[0][used], cell[1][used]] = numbers[used]
        for name in set(layout.mean) & set(names) - gathered.unrecorded():
            matrices[names[name]][:] = layout.mean[name]
        for matrix in matrices.values():
            matrix.flush()
        qid, domain = gathered.ids(layout)
        told = {**about, "n_dropped": layout.n_dropped}
        matrix_store.finish(folder, qid, domain, lambda part: gathered.prompts(layout.query[part]), layout.models, told)
        sums = {
            name: np.sum([np.nansum(matrices[name][block], axis=0) for block in matrix_store.blocks(shape)], axis=0)
            for name in ("quality", "cost_usd")
        }
        count = (layout.row >= 0).sum(axis=0)
        return Summary(shape[0], layout.models, set(domain), sums["quality"], sums["cost_usd"], count)


def write_tables(target: str | Path, tables: Iterable[pa.Table], **options: Any) -> int:
    """Write each table as one row group of a Parquet file, whole or not at all; return the number of rows.

    Parameters
    ----------
    options
        Of :class:`pyarrow.parquet.ParquetWriter`.
    """
    n_row = 0
    with files.atomic_path(target) as temporary, contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for table in tables:
            if writer is None:
                options.setdefault("use_dictionary", [name for name in table.column_names if name != "response"])
                made = pq.ParquetWriter(temporary, table.schema, compression="zstd", **options)
                writer = stack.enter_context(made)
            writer.write_table(table, row_group_size=max(len(table), 1))
            n_row += len(table)
        if writer is None:
            raise UserError("there are no rows to write")
    return n_row


def _to_arrow(chunk: pd.DataFrame) -> pa.Table:
    if "family" not in chunk.columns:
        known = {name: schema.family_of(str(name)) for name in chunk["domain"].unique()}
        chunk = chunk.assign(family=chunk["domain"].astype(object).map(known))
    first = [*schema.COLUMNS, "family"]
    arrays: dict[str, pa.Array] = {}
    for name in [*first, *(other for other in chunk.columns if other not in first)]:
        column = chunk[name]
        if name in REPEATED:
            arrays[name] = _dictionary(column)
        elif name in ("quality", "cost"):
            arrays[name] = pa.array(column.to_numpy(dtype=np.float64))
        else:
            array = pa.Array.from_pandas(column)
            array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            arrays[name] = array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
    return pa.table(arrays)


def _dictionary(column: pd.Series) -> pa.DictionaryArray:
    """Encode by first appearance; the chunk's own dictionary, not the whole table's."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        code, seen = pd.factorize(column.cat.codes)
        names = column.cat.categories.to_numpy(dtype=object)[seen]
    else:
        code, names = pd.factorize(column.to_numpy(dtype=object))
    return pa.DictionaryArray.from_arrays(pa.array(code, type=pa.int32()), pa.array(names, type=pa.string()))
