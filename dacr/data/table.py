"""RoutingTable: the long table as dense arrays, ``(n_query, n_model)``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dacr.core import files, manifest, memory
from dacr.core.errors import UserError
from dacr.data import matrix_store, schema
from dacr.types import Bools, Floats


@dataclass(frozen=True)
class RoutingTable:
    """Recorded outcomes of every model on every query.

    Attributes
    ----------
    qid, prompt, domain : (n_query,) object
    model : (n_model,) object
        Sorted by name.
    quality : (n_query, n_model) float in [0, 1]
    cost_usd : (n_query, n_model) float, USD per query
    latency_s : (n_query, n_model) float, seconds; NaN where not recorded
    response : pyarrow.Array of n_query * n_model strings, or None
        Query-major; kept in Arrow because as Python strings it would be the largest thing in memory. None where
        the table has no responses.
    output_tokens : (n_query, n_model) float, or None
        Declared token counts of the responses, where the table gives them.
    recorded : (n_query, n_model) bool, or None
        Where there is an outcome; elsewhere quality and cost are NaN. None where there is one everywhere.
    """

    qid: NDArray[np.object_]
    prompt: NDArray[np.object_]
    domain: NDArray[np.object_]
    model: tuple[str, ...]
    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    response: pa.Array | None
    output_tokens: Floats | None = None
    recorded: Bools | None = None

    @property
    def n_query(self) -> int:
        """Number of queries."""
        return len(self.qid)

    @property
    def n_model(self) -> int:
        """Number of models."""
        return len(self.model)

    @property
    def family(self) -> NDArray[np.object_]:
        """Family of each query's domain, shape ``(n_query,)``."""
        known = {name: schema.family_of(name) for name in set(self.domain)}
        return np.array([known[name] for name in self.domain], dtype=object)

    def _repr_html_(self) -> str:
        head = f"{self.n_query:,} queries, {len(set(self.domain)):,} domains, {self.n_model:,} models"
        quality, cost = (pd.DataFrame(values, columns=self.model) for values in (self.quality, self.cost_usd))
        by_model = pd.DataFrame(
            {"answers": quality.count(), "mean quality": quality.mean(), "USD per 1,000 answers": 1000 * cost.mean()}
        )
        return f"<p>{head}</p>{by_model.sort_values('USD per 1,000 answers').to_html(float_format='%.4g')}"

    def with_latency(self, latency_s: Floats) -> Self:
        """Return the same table with other latencies."""
        return replace(self, latency_s=latency_s)

    def take(self, rows: Any) -> Self:
        """Return the given queries (an index array), in the given order."""
        rows = np.asarray(rows)
        response = self.response
        if response is not None:
            cells = (rows[:, None] * self.n_model + np.arange(self.n_model)[None, :]).ravel()
            response = response.take(pa.array(cells))
        names = ("qid", "prompt", "domain", "quality", "cost_usd", "latency_s", "output_tokens", "recorded")
        cut = {name: values[rows] for name in names if (values := getattr(self, name)) is not None}
        return replace(self, response=response, **cut)

    def with_responses_of(self, rows: Any) -> Self:
        """Return the same table with the responses to the given queries (an index array) alone: null elsewhere."""
        if self.response is None:
            return self
        other = np.ones((self.n_query, self.n_model), dtype=bool)
        other[rows] = False
        cells = pa.array(np.arange(other.size), mask=other.ravel())
        return replace(self, response=self.response.take(cells))


def load(path: str | Path, with_response: bool = True, incomplete: bool = False) -> RoutingTable:
    """Read a long Parquet table (see :mod:`dacr.data.schema`) into dense arrays, or map a matrix store.

    Parameters
    ----------
    with_response : bool
        False leaves the responses, most of the file, unread: they are then None.
    incomplete : bool
        The caller heeds :attr:`RoutingTable.recorded`: take tables that were prepared with ``--missing_outcomes
        available`` too.

    Raises
    ------
    UserError
        Missing or unreadable file, missing columns, unsound values, or a query without some model.
    """
    table = _mapped(path) if matrix_store.is_store(path) else _read(path, with_response)
    schema.require_distinct(table.domain, table.model, str(path))
    if table.recorded is not None and not incomplete:
        raise UserError(
            f"{path}: {schema.incomplete(table.recorded)}, and this command needs every outcome; prepare it again with "
            "--missing_outcomes drop"
        )
    return table


def told_of(path: str | Path) -> dict[str, Any]:
    """Return a table's manifest; empty where it has none."""
    if matrix_store.is_store(path):
        return matrix_store.manifest_of(path)
    return manifest.from_metadata(pq.read_schema(path).metadata)


def _read(path: str | Path, with_response: bool) -> RoutingTable:
    path = files.existing_file(path, made_by="python scripts/prepare_routerbench.py")
    table = read_parquet(path, [name for name in (*schema.COLUMNS, *schema.MEASURED) if name != "response"])
    checked = table.select([name for name in table.column_names if name != "prompt"]).to_pandas()
    if "prompt" in table.column_names:
        checked["prompt"] = ""
    # NaN is an outcome that was never recorded where the table says that it has such.
    known = (
        checked["quality"].notna().to_numpy() if told_of(path).get("n_missing") else np.ones(len(checked), dtype=bool)
    )
    schema.validate(checked[known] if not known.all() else checked, str(path))
    schema.require_complete(checked, str(path))
    del checked
    dense, order = _dense(table)
    del table
    if with_response:  # read by themselves: they are most of the file, and stand in memory once
        dense = replace(dense, response=_responses(read_parquet(path, ["response"]), order))
        memory.release()
    return dense


def count_rows(path: str | Path) -> int:
    """Return the number of outcomes of a table from its footer or manifest; 0 where it can't be read."""
    try:
        if matrix_store.is_store(path):
            about = matrix_store.manifest_of(path)
            return int(about["n_query"]) * len(about["models"])
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def pricing_of(path: str | Path) -> dict[str, Any] | None:
    """Return what a table's manifest says of costs; None where no call has a token count or a price."""
    told = told_of(path).get("pricing")
    counted = told and any(model["n_counted"] or model["n_priced"] for model in told["models"].values())
    return told if counted else None


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file; a file that is none, or is cut short, is a :class:`UserError`.

    ``columns`` that the file does not have are left out.
    """
    try:
        if columns is not None:
            present = pq.read_schema(path).names
            columns = [name for name in columns if name in present]
        return pq.read_table(path, columns=columns, read_dictionary=["qid", "prompt", "domain", "model"])
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file (truncated?): {error}; "
            "write it again with python scripts/prepare_routerbench.py"
        ) from None


def _dense(table: pa.Table) -> tuple[RoutingTable, NDArray[np.int64]]:
    """Return a long table without responses, and the row of each query and model, (n_query * n_model,)."""
    qid_code, qid = _codes(table, "qid")
    model_code, model = _codes(table, "model")
    by_name = np.argsort(model.astype(str), kind="stable")
    rank = np.empty(len(model), dtype=np.int64)
    rank[by_name] = np.arange(len(model))
    order = np.lexsort((rank[model_code], qid_code))
    shape = (len(qid), len(model))
    firsts = order[:: len(model)]

    def column(name: str) -> Floats:
        values: Floats = table.column(name).to_numpy().astype(np.float64)
        return values[order].reshape(shape)

    def measured(name: str) -> Floats | None:
        return column(name) if name in table.column_names else None

    latency_s, quality = measured("latency_s"), column("quality")
    dense = RoutingTable(
        qid=qid,
        prompt=_taken(table.column("prompt"), firsts),
        domain=_taken(table.column("domain"), firsts),
        model=tuple(model[by_name]),
        quality=quality,
        cost_usd=column("cost"),
        latency_s=np.full(shape, np.nan) if latency_s is None else latency_s,
        response=None,
        output_tokens=measured("output_tokens"),
        recorded=_recorded(quality),
    )
    return dense, order


def _recorded(quality: Floats) -> Bools | None:
    known: Bools = np.isfinite(quality)
    return None if known.all() else known


def _taken(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the texts of some rows, '' where there is none, chunk by chunk.

    A prompt stands once per model in the long table: texts of a chunk's dictionary are decoded once.
    """
    out = np.full(len(rows), "", dtype=object)
    start = 0
    for chunk in column.chunks:
        inside = np.flatnonzero((rows >= start) & (rows < start + len(chunk)))
        some = pa.array(rows[inside] - start)
        start += len(chunk)
        if not len(inside):
            continue
        if pa.types.is_dictionary(chunk.type):
            known = np.array([*chunk.dictionary.to_pylist(), ""], dtype=object)
            code = chunk.indices.take(some).fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
            texts = known[code]
            out[inside] = np.where(texts == None, "", texts)  # noqa: E711 (a dictionary may hold a null)
        else:
            out[inside] = chunk.take(some).cast(pa.large_string()).fill_null("").to_pylist()
    return out


def _responses(table: pa.Table, order: NDArray[np.int64]) -> pa.Array | None:
    """Return the responses in ``order``; None where there are none, or each of them is empty."""
    if "response" not in table.column_names:
        return None
    response = pc.cast(_plain(table.column("response")), pa.large_string()).fill_null("")
    if not pc.any(pc.greater(pc.binary_length(response), 0)).as_py():
        return None
    if (np.diff(order) != 1).any():
        response = response.take(pa.array(order))
    return response.combine_chunks() if isinstance(response, pa.ChunkedArray) else response


def _mapped(path: str | Path) -> RoutingTable:
    """Return the table of a matrix store: matrices stay on disk until rows of them are taken."""
    axes, matrices = matrix_store.read_axes(path), matrix_store.open_matrices(path)
    told = matrix_store.manifest_of(path)
    shape = matrices["quality"].shape
    # Nothing is written into a table, so one NaN may stand for all latencies that are not recorded.
    unknown: Floats = np.broadcast_to(np.float64(np.nan), shape)
    return RoutingTable(
        qid=axes["qid"],
        prompt=axes["prompt"],
        domain=axes["domain"],
        model=tuple(told["models"]),
        quality=matrices["quality"],
        cost_usd=matrices["cost_usd"],
        latency_s=matrices.get("latency_s", unknown),
        response=None,
        output_tokens=matrices.get("output_tokens"),
        recorded=_recorded(matrices["quality"]) if told.get("n_missing") else None,
    )


def _codes(table: pa.Table, name: str) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Return codes in order of first appearance, and the distinct names."""
    encoded = pc.cast(_plain(table.column(name)), pa.string()).combine_chunks().dictionary_encode()
    return (
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        np.array(encoded.dictionary.to_pylist(), dtype=object),
    )


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column
