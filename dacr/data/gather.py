"""One outcome for every query and model, gathered from chunks of a long table of any size.

Chunks pass once, in any order of rows, and wait on disk (Arrow batches of a few MB in a temporary folder); memory holds
names and codes. Then missing and split rows are found, and the rows are taken out in the order of the long table:
queries as in the file, models by name.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data import schema
from dacr.data.loaders.texts import repeated
from dacr.data.shelf import Layout, Shelf, where_known
from dacr.types import Bools, Floats, Ints

MissingOutcomes = Literal["error", "drop", "available"]
NUMBERS = ("quality", "cost", "latency_s", "output_tokens", "input_tokens")
_QUERIES = 5_000
_CHUNK_BYTES = 16 * 2**20
"""A chunk of the finished table holds so many queries, fewer where their texts take more than this."""


class Gathered:
    """Chunks of a long table, on disk in a folder of its own beside the output; a context manager.

    Parameters
    ----------
    beside : path
        The output: its disk holds the temporary folder.
    source : str
        What errors call the input.
    keep_response : bool
        False keeps no responses.
    """

    def __init__(self, beside: str | Path, source: str, keep_response: bool = True) -> None:
        self.source, self._beside, self._keep_response = source, Path(beside), keep_response
        self.qid: dict[str, int] = {}
        self.domain: list[str] = []
        self._model: dict[str, int] = {}
        self._prompt_row: list[int] = []
        self.has_response = False
        self._n_full, self._n_counted = 0, dict[str, int]()

    def __enter__(self) -> Self:
        parent = self._beside.parent if self._beside.parent.is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._beside.name}.", suffix=".part", dir=parent))
        self._rows, self._prompts = Shelf(self._folder / "rows"), Shelf(self._folder / "prompts")
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, chunk: pd.DataFrame) -> None:
        """Take the rows of a chunk of the long table."""
        schema.require_names(chunk, self.source)
        if chunk.empty:
            return
        full = chunk["quality"].notna().to_numpy() & chunk["cost"].notna().to_numpy()
        if full.any():
            values = chunk.loc[full, [name for name in chunk.columns if name in ("qid", "model", *NUMBERS)]]
            gaps = {name: 0.0 for name in ("output_tokens", "input_tokens") if name in values}
            schema.validate_values(values.fillna(gaps), self.source)
            for name in gaps:
                self._n_counted[name] = self._n_counted.get(name, 0) + int(values[name].notna().sum())
            if "latency_s" in values:
                self._n_counted["latency_s"] = self._n_counted.get("latency_s", 0) + int(
                    values["latency_s"].notna().sum()
                )
            self._n_full += int(full.sum())
        query = self._queries(chunk)
        code, names = pd.factorize(chunk["model"].astype(object))
        known = np.array([self._model.setdefault(str(name), len(self._model)) for name in names], dtype=np.int32)
        response = chunk["response"]
        if not self.has_response:
            self.has_response = bool((response.notna() & (response != "")).any())
        columns: dict[str, Any] = {"query": pa.array(query.astype(np.int32)), "model": pa.array(known[code])}
        for name in chunk.columns:
            if name in NUMBERS:
                columns[name] = pa.array(chunk[name].to_numpy(dtype=np.float64, na_value=np.nan))
            elif name == "response" and self._keep_response:
                columns[name] = _texts(response)
            elif name not in ("qid", "prompt", "domain", "model", "family", "response"):
                array = pa.Array.from_pandas(chunk[name])
                columns[name] = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        self._rows.add(columns, self.source)

    def _queries(self, chunk: pd.DataFrame) -> Ints:
        """Return the code of each row's query; keep the first prompt of each that is not empty."""
        code, names = pd.factorize(chunk["qid"].astype(object))
        known = np.array([self.qid.setdefault(str(name), len(self.qid)) for name in names], dtype=np.int64)
        first = np.unique(code, return_index=True)[1]
        fresh = np.flatnonzero(known >= len(self.domain))
        self.domain += [str(name) for name in chunk["domain"].iloc[first[fresh]]]
        self._prompt_row += [-1] * len(fresh)
        told = np.flatnonzero(~schema.empty(chunk["prompt"]))
        with_prompt, at = np.unique(code[told], return_index=True)
        lacks = np.array([self._prompt_row[i] < 0 for i in known[with_prompt]], dtype=bool)
        for offset, i in enumerate(known[with_prompt[lacks]].tolist()):
            self._prompt_row[i] = len(self._prompts) + offset
        if lacks.any():
            self._prompts.add({"prompt": _texts(chunk["prompt"].iloc[told[at[lacks]]])}, self.source)
        return known[code]

    def layout(self, missing_outcomes: MissingOutcomes = "error") -> Layout:
        """Find the row of every outcome.

        A row without quality or cost gives way to a row of the same query and model that has both: so the half-empty
        rows of a split query are merged. Trials (rows that differ in a column ``trial``) are averaged. Cells that stay
        empty are an error, or their queries are dropped, or (``available``) they stay empty wherever a query has some
        outcome.

        Raises
        ------
        UserError
            No rows; an outcome that stands twice; empty cells under ``missing_outcomes="error"``; no query left.
        """
        if not self.qid:
            raise UserError(f"{self.source}: holds no rows; expected one per query and model")
        by_name = np.argsort(np.array(list(self._model), dtype=object), kind="stable")
        rank = np.argsort(by_name, kind="stable")
        models = tuple(np.array(list(self._model), dtype=object)[by_name])
        shape = (len(self.qid), len(models))
        # What grows with the table is held once and narrow: a number and a mark per cell.
        row: NDArray[np.integer] = np.full(
            shape[0] * shape[1], -1, dtype=np.int32 if len(self._rows) < 2**31 else np.int64
        )
        stood, is_merged = np.zeros(len(row), dtype=bool), np.zeros(shape[0], dtype=bool)
        trials: list[pd.DataFrame] = []
        for start, batch in self._rows.batches():
            cell = batch["query"].to_numpy().astype(np.int64) * shape[1] + rank[batch["model"].to_numpy()]
            again = stood[cell] | pd.Series(cell).duplicated().to_numpy()
            is_merged[cell[again] // shape[1]] = True
            stood[cell] = True
            full = ~(np.isnan(batch["quality"].to_numpy()) | np.isnan(batch["cost"].to_numpy()))
            rows, cell = np.flatnonzero(full), cell[full]
            if "trial" in batch.schema.names:
                part = batch.select([n for n in batch.schema.names if n in NUMBERS]).to_pandas().iloc[rows]
                trials.append(part.assign(cell=cell, trial=batch["trial"].to_pandas().iloc[rows]))
            else:
                self._require_once(cell, row[cell] >= 0, shape[1], models)
            row[cell[::-1]] = (start + rows)[::-1]
        mean, n_averaged = self._averaged(trials, shape, models)
        del stood
        row = row.reshape(shape)
        lacks = row.min(axis=1) < 0
        if lacks.any() and missing_outcomes == "error":
            raise UserError(self._what_is_missing(row, models))
        if missing_outcomes == "available":
            lacks = row.max(axis=1) < 0
        kept = np.flatnonzero(~lacks)
        if not len(kept):
            raise UserError(f"{self.source}: each of the {shape[0]} queries lacks some model; none is left")
        if len(kept) < shape[0]:
            row, mean = row[kept], {name: values[kept] for name, values in mean.items()}
        self._require_heard(row, models)
        n_merged = 0 if trials else int(is_merged[kept].sum())
        return Layout(row, kept, models, n_merged, int(lacks.sum()), n_averaged, mean)

    def _require_heard(self, row: NDArray[np.integer], models: tuple[str, ...]) -> None:
        silent = row.max(axis=0) < 0
        if silent.any():
            raise UserError(
                f"{self.source}: nothing was recorded of {models[int(silent.argmax())]!r}; leave its rows out"
            )

    def _require_once(self, cell: Ints, taken: Bools, n_model: int, models: tuple[str, ...]) -> None:
        twice = taken | pd.Series(cell).duplicated().to_numpy()
        if twice.any():
            at = int(cell[np.flatnonzero(twice)[0]])
            pair = (list(self.qid)[at // n_model], models[at % n_model])
            raise UserError(
                f"{self.source}: {int(twice.sum())} (qid, model) pairs stand twice, first (qid {pair[0]!r}, model "
                f"{pair[1]!r}), with outcomes in both; keep one each"
            )

    def _averaged(
        self, trials: list[pd.DataFrame], shape: tuple[int, int], models: tuple[str, ...]
    ) -> tuple[dict[str, Floats], int]:
        if not trials:
            return {}, 0
        whole = pd.concat(trials)
        same = whole[["cell", "trial"]].duplicated().to_numpy()
        self._require_once(whole["cell"].to_numpy()[same], np.ones(int(same.sum()), dtype=bool), shape[1], models)
        grouped = whole.drop(columns="trial").groupby("cell")
        mean, count = grouped.mean(), grouped.size()
        out = {name: np.full(shape[0] * shape[1], np.nan) for name in mean.columns}
        for name, values in out.items():
            values[mean.index] = mean[name]
        return {name: values.reshape(shape) for name, values in out.items()}, int((count > 1).sum())

    def _what_is_missing(self, row: NDArray[np.integer], models: tuple[str, ...]) -> str:
        hole = row < 0
        i, j = (int(axis[0]) for axis in np.nonzero(hole))
        what, model = "has no row", self._model[models[j]]
        for _, batch in self._rows.batches():
            for at in np.flatnonzero((batch["query"].to_numpy() == i) & (batch["model"].to_numpy() == model))[:1]:
                gaps = [name for name in ("quality", "cost") if np.isnan(batch[name].to_numpy()[at])]
                what = "has NaN " + " and ".join(gaps)
        return (
            f"{self.source}: {int(hole.sum())} of {hole.size} outcomes are missing, in {int(hole.any(axis=1).sum())} "
            f"of {len(row)} queries; first (qid {list(self.qid)[i]!r}, model {models[j]!r}) {what}; to leave such "
            "queries out use --missing_outcomes drop, to keep what there is --missing_outcomes available"
        )

    def columns(self, layout: Layout) -> Ints:
        """Return the place in ``layout.models`` of each model code."""
        place = {name: i for i, name in enumerate(layout.models)}
        return np.array([place[name] for name in self._model], dtype=np.int64)

    def ids(self, layout: Layout) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Return ids and domains of the queries that stay, (n_query,) each."""
        names, domains = np.array(list(self.qid), dtype=object), np.array(self.domain, dtype=object)
        return names[layout.query], domains[layout.query]

    def shares_no_id(self) -> bool:
        """Say whether several models have no query in common by id, while their prompts could tell queries."""
        if len(self._model) < 2 or not any(row >= 0 for row in self._prompt_row):
            return False
        seen = np.full(len(self.qid), -1, dtype=np.int64)
        for _, batch in self._rows.batches():
            query, model = batch["query"].to_numpy(), batch["model"].to_numpy()
            if ((seen[query] >= 0) & (seen[query] != model)).any():
                return False
            seen[query] = model
            if (seen[query] != model).any():
                return False
        return True

    def require_model(self, name: str | None, flag: str) -> None:
        """Raise :class:`UserError` where the source has no such model."""
        if name not in self._model:
            raise UserError(f"{flag} {name!r} is not in {self.source}; its models are {', '.join(sorted(self._model))}")

    def unrecorded(self) -> set[str]:
        """Return what is left out: counts that some outcome lacks, latencies that all lack."""
        return {name for name, n in self._n_counted.items() if n < (1 if name == "latency_s" else self._n_full)}

    def numbers(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the first row and the numbers of each batch, as they came."""
        return self._rows.batches()

    def prompts(self, query: Ints) -> NDArray[np.object_]:
        """Return the prompts of queries, '' where there is none."""
        rows = np.array(self._prompt_row, dtype=np.int64)[query]
        out = np.full(len(rows), "", dtype=object)
        told = np.flatnonzero(rows >= 0)
        if len(told):
            out[told] = self._prompts.take(rows[told]).column("prompt").to_pylist()
        return out

    def chunks(self, layout: Layout) -> Iterator[pd.DataFrame]:
        """Yield the finished long table, some whole queries at a time."""
        qid, domain = self.ids(layout)
        n_model = len(layout.models)
        n_query = max(
            1, min(_QUERIES, int(_CHUNK_BYTES * len(self.qid) / max(self._rows.nbytes + self._prompts.nbytes, 1)))
        )
        for start in range(0, len(layout.query), n_query):
            part = slice(start, start + n_query)
            query = layout.query[part]
            cell = layout.row[part].ravel()
            taken = self._rows.take(np.maximum(cell, 0))
            columns: dict[str, Any] = {
                "qid": repeated(qid[part], n_model),
                "prompt": repeated(self.prompts(query), n_model),
                "domain": repeated(domain[part], n_model),
                "model": pd.Categorical.from_codes(
                    np.tile(np.arange(n_model), len(query)), pd.Index(layout.models, dtype=object)
                ),
                "response": "",
            }
            for name in taken.column_names:
                if name in self.unrecorded():
                    continue
                if name in layout.mean:
                    columns[name] = layout.mean[name][part].ravel()
                elif name not in ("query", "model", "trial"):
                    columns[name] = where_known(taken.column(name), cell >= 0).to_pandas()
            yield pd.DataFrame(columns)


def _texts(column: pd.Series) -> pa.Array:
    values = column.astype(object).to_numpy()
    return pa.array(np.where(pd.isna(values), "", values), type=pa.large_string())
