"""Convert a table of any size to a matrix store: the file passes in chunks of rows, the matrices stay on disk.

Two passes over the file: one collects the axes (query ids with prompt and domain, model names), one fills the
cells. Memory holds one chunk and the queries' texts, never a row per outcome; rows may stand in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data import matrix_store, schema
from dacr.data.complete import MissingOutcomes
from dacr.data.tokens import output_tokens
from dacr.data.write import Summary
from dacr.types import Ints

Chunks = Callable[[], Iterator[pd.DataFrame]]
_BLOCK_CELLS = 2**22


@dataclass
class _Axes:
    """Queries in order of first appearance, models in any order."""

    row: dict[str, int] = field(default_factory=dict)
    prompt: list[str] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)
    model: dict[str, int] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    has_response: bool = False

    def add(self, chunk: pd.DataFrame, source: str) -> None:
        """Take the ids and texts of a chunk of the long table."""
        for name in ("qid", "domain", "model"):
            _require(chunk[name], name, source)
        code, names = pd.factorize(chunk["qid"])
        first = np.unique(code, return_index=True)[1]
        told = _first_prompts(chunk["prompt"], code, len(names))
        domain = chunk["domain"].iloc[first].astype(object)
        for qid, prompt, name in zip(map(str, names), told, domain, strict=True):
            at = self.row.setdefault(qid, len(self.row))
            if at == len(self.prompt):
                self.prompt.append(prompt)
                self.domain.append(str(name))
            elif not self.prompt[at]:
                self.prompt[at] = prompt
        for name in pd.unique(chunk["model"]):
            self.model.setdefault(str(name), len(self.model))
        self.columns |= set(chunk.columns)
        if not self.has_response and "response" in chunk.columns:
            response = chunk["response"]
            self.has_response = bool((response.notna() & (response != "")).any())


def _require(column: pd.Series, name: str, source: str) -> None:
    bad = schema.empty(column)
    if bad.any():
        raise UserError(f"{source}: column {name!r} is empty in {int(bad.sum())} rows; fill or drop them")


def _first_prompts(prompt: pd.Series, code: Ints, n: int) -> list[str]:
    """Return the first prompt of each query that is not empty, else ''."""
    told = np.flatnonzero(~schema.empty(prompt))
    out = np.full(n, "", dtype=object)
    known, at = np.unique(code[told], return_index=True)
    out[known] = prompt.iloc[told[at]].astype(object).to_numpy()
    return [str(text) for text in out]


def write_store(
    out: str | Path,
    chunks: Chunks,
    source: str,
    about: Mapping[str, Any],
    missing_outcomes: MissingOutcomes = "error",
) -> Summary:
    """Write a matrix store, whole or not at all.

    Parameters
    ----------
    chunks : callable
        Returns an iterator over chunks of the long table, the same each time; rows may stand in any order, and a
        half-empty row (without quality or cost) gives way to a full one of the same query and model.
    about : mapping
        Goes into the store's manifest.

    Raises
    ------
    UserError
        ``out`` is something other than a store; unsound values, an outcome that stands twice, missing outcomes
        under ``missing_outcomes="error"``, or no query left.
    """
    out = Path(out)
    if out.exists() and not matrix_store.is_store(out):
        raise UserError(f"{str(out)!r} exists and is no matrix store; name another, such as {str(out) + '.store'!r}")
    axes = _Axes()
    for chunk in chunks():
        axes.add(chunk, source)
    if not axes.row:
        raise UserError(f"{source}: holds no rows; expected one per query and model")
    models = tuple(sorted(axes.model))
    shape = (len(axes.row), len(models))
    names = [*matrix_store.REQUIRED]
    names += ["latency_s"] if "latency_s" in axes.columns else []
    names += ["output_tokens"] if "output_tokens" in axes.columns or axes.has_response else []
    with files.atomic_folder(out) as folder:
        matrices = {name: matrix_store.create(folder, name, shape) for name in names}
        rows, columns = pd.Index(list(axes.row), dtype=object), pd.Index(list(models), dtype=object)
        for chunk in chunks():
            _fill(matrices, chunk, rows, columns, source)
        kept = _kept(matrices["quality"], rows, columns, source, missing_outcomes)
        if len(kept) < shape[0]:
            matrices = {name: _compacted(folder, name, matrix, kept) for name, matrix in matrices.items()}
        for matrix in matrices.values():
            matrix.flush()
        texts = [np.array(values, dtype=object)[kept] for values in (list(axes.row), axes.prompt, axes.domain)]
        told = {**about, "n_dropped": shape[0] - len(kept)}
        matrix_store.finish(folder, texts[0], texts[1], texts[2], models, told)
        return _summary(matrices, texts[2], models)


def _fill(
    matrices: Mapping[str, NDArray[np.float64]], chunk: pd.DataFrame, rows: pd.Index, columns: pd.Index, source: str
) -> None:
    """Write the outcomes of a chunk into their cells."""
    chunk = chunk[chunk["quality"].notna().to_numpy() & chunk["cost"].notna().to_numpy()]
    if chunk.empty:
        return
    schema.validate(chunk, source)
    cell = (_places(chunk["qid"], rows), _places(chunk["model"], columns))
    twice = ~np.isnan(matrices["quality"][cell])
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        pair = (chunk["qid"].iloc[at], chunk["model"].iloc[at])
        raise UserError(f"{source}: (qid, model) pair {pair} stands twice, with outcomes in both; keep one")
    matrices["quality"][cell] = chunk["quality"].to_numpy(dtype=np.float64)
    matrices["cost_usd"][cell] = chunk["cost"].to_numpy(dtype=np.float64)
    if "latency_s" in matrices:
        matrices["latency_s"][cell] = chunk["latency_s"].to_numpy(dtype=np.float64, na_value=np.nan)
    if "output_tokens" in matrices:
        matrices["output_tokens"][cell] = _tokens(chunk)


def _tokens(chunk: pd.DataFrame) -> NDArray[np.float64]:
    """Return declared token counts, else those of the responses: (n,)."""
    if "output_tokens" in chunk.columns:
        declared: NDArray[np.float64] = chunk["output_tokens"].to_numpy(dtype=np.float64)
        return declared
    text = chunk["response"].astype(object).where(chunk["response"].notna(), "")
    return output_tokens(pa.array(text.tolist(), type=pa.large_string()), 1)[:, 0]


def _places(column: pd.Series, index: pd.Index) -> Ints:
    code, names = pd.factorize(column)
    place: Ints = index.get_indexer(pd.Index([str(name) for name in names], dtype=object))[code]
    return place


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BLOCK_CELLS // max(shape[1], 1))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _kept(
    quality: NDArray[np.float64], rows: pd.Index, columns: pd.Index, source: str, missing_outcomes: MissingOutcomes
) -> Ints:
    """Return the queries with every outcome; missing ones are an error unless they may be dropped."""
    n_hole = np.concatenate([np.isnan(quality[block]).sum(axis=1) for block in _blocks(quality.shape)])
    lacks = n_hole > 0
    if lacks.any() and missing_outcomes == "error":
        i = int(np.flatnonzero(lacks)[0])
        j = int(np.flatnonzero(np.isnan(quality[i]))[0])
        raise UserError(
            f"{source}: {int(n_hole.sum())} of {quality.size} outcomes are missing, in {int(lacks.sum())} of "
            f"{len(rows)} queries; first (qid {rows[i]!r}, model {columns[j]!r}); to leave such queries out use "
            "--missing_outcomes drop"
        )
    kept = np.flatnonzero(~lacks)
    if not len(kept):
        raise UserError(f"{source}: each of the {len(rows)} queries lacks the outcome of some model; none is left")
    return kept


def _compacted(folder: Path, name: str, matrix: np.memmap[Any, Any], kept: Ints) -> np.memmap[Any, Any]:
    """Leave out rows: block by block into a new file that takes the old one's place."""
    fresh = matrix_store.create(folder, f"{name}.kept", (len(kept), matrix.shape[1]), fill=None)
    for block in _blocks(fresh.shape):
        fresh[block] = matrix[kept[block]]
    fresh.flush()
    (folder / f"{name}.kept.npy").replace(folder / f"{name}.npy")
    return fresh


def _summary(
    matrices: Mapping[str, NDArray[np.float64]], domain: NDArray[np.object_], models: tuple[str, ...]
) -> Summary:
    sums = {
        name: np.sum([matrices[name][block].sum(axis=0) for block in _blocks(matrices[name].shape)], axis=0)
        for name in ("quality", "cost_usd")
    }
    return Summary(len(domain), models, set(domain), sums["quality"], sums["cost_usd"])
