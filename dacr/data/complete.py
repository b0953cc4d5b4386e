"""One outcome for every query and model: merge split rows, find what is missing, put rows in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data import schema
from dacr.types import Ints

MissingOutcomes = Literal["error", "drop"]


@dataclass(frozen=True)
class Completed:
    """A sound long table, and what it took.

    Attributes
    ----------
    frame : DataFrame
        Texts that repeat (qid, prompt, domain, model, family) are categories.
    n_merged : int
        Queries whose outcomes stood on several half-empty rows of the file.
    n_dropped : int
        Queries left out because some model has no outcome.
    """

    frame: pd.DataFrame
    n_merged: int
    n_dropped: int


def complete(frame: pd.DataFrame, source: str, missing_outcomes: MissingOutcomes = "error") -> Completed:
    """Order a long table by query (as in the file) and model (by name), with every cell filled.

    A row without quality or cost gives way to a row of the same query and model that has both: so the
    half-empty rows of a split query are merged. Cells that stay empty are an error, or their queries
    are dropped.

    Raises
    ------
    UserError
        Empty cells under ``missing_outcomes="error"``, no query left, or whatever
        :func:`dacr.data.schema.validate` finds.
    """
    if frame.empty:
        raise UserError(f"{source}: holds no rows; expected one per query and model")
    _require_ids(frame, source)
    qid_code, qid = pd.factorize(frame["qid"].astype(object))
    model_code, model = pd.factorize(frame["model"].astype(object), sort=True)
    shape = (len(qid), len(model))
    cell = qid_code * shape[1] + model_code
    full = frame["quality"].notna().to_numpy() & frame["cost"].notna().to_numpy()
    rows_with_outcome = np.flatnonzero(full)
    times = np.bincount(cell[rows_with_outcome], minlength=cell.max() + 1)
    if times.max(initial=0) > 1:
        schema.validate(frame.iloc[rows_with_outcome], source)  # says which pair stands twice
    where = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    where[cell[rows_with_outcome]] = rows_with_outcome
    where = where.reshape(shape)
    lacks = (where < 0).any(axis=1)
    if lacks.any() and missing_outcomes == "error":
        raise UserError(_what_is_missing(where, qid, model, frame, cell, source))
    kept = np.flatnonzero(~lacks)
    if not len(kept):
        raise UserError(f"{source}: each of the {len(qid)} queries lacks the outcome of some model; none is left")
    n_merged = int((_rows_per_query(qid_code, cell) > 1)[kept].sum())
    done = _assemble(frame, where[kept], _first_rows(frame, qid_code, len(qid))[kept], qid[kept], model)
    schema.validate(done, source)
    return Completed(done, n_merged, int(lacks.sum()))


def _require_ids(frame: pd.DataFrame, source: str) -> None:
    for name in ("qid", "domain", "model"):
        bad = frame[name].isna().to_numpy() | (frame[name] == "").to_numpy(dtype=bool)
        if bad.any():
            raise UserError(f"{source}: column {name!r} is empty in {int(bad.sum())} rows; fill or drop them")


def _rows_per_query(qid_code: Ints, cell: Ints) -> Ints:
    """Return how often the commonest (query, model) pair of each query stands in the file."""
    _, first, times = np.unique(cell, return_index=True, return_counts=True)
    most = np.zeros(qid_code.max() + 1, dtype=np.int64)
    np.maximum.at(most, qid_code[first], times)
    return most


def _what_is_missing(where: Ints, qid: pd.Index, model: pd.Index, frame: pd.DataFrame, cell: Ints, source: str) -> str:
    hole = where < 0
    n_query = int(hole.any(axis=1).sum())
    i, j = (int(axis[0]) for axis in np.nonzero(hole))
    row = np.flatnonzero(cell == i * len(model) + j)
    what = "has no row"
    if len(row):
        what = "has NaN " + " and ".join(name for name in ("quality", "cost") if frame[name].isna().iloc[row[0]])
    return (
        f"{source}: {int(hole.sum())} of {hole.size} outcomes are missing, in {n_query} of {len(qid)} queries; first "
        f"(qid {qid[i]!r}, model {model[j]!r}) {what}; to leave such queries out use --missing_outcomes drop"
    )


def _first_rows(frame: pd.DataFrame, qid_code: Ints, n_query: int) -> Ints:
    """Return the first row of each query that has a prompt, else its first row."""
    first = np.unique(qid_code, return_index=True)[1]
    prompt = frame["prompt"]
    told = np.flatnonzero(prompt.notna().to_numpy() & (prompt != "").to_numpy(dtype=bool))
    code, position = np.unique(qid_code[told], return_index=True)
    first[code] = told[position]
    return first


def _assemble(frame: pd.DataFrame, where: Ints, first: Ints, qid: pd.Index, model: pd.Index) -> pd.DataFrame:
    n_query, n_model = where.shape
    rows = where.ravel()
    response = frame["response"].to_numpy(dtype=object)[rows]
    response[pd.isna(response)] = ""
    prompt = frame["prompt"].iloc[first].to_numpy(dtype=object)
    domain = frame["domain"].to_numpy(dtype=object)[first]
    columns: dict[str, object] = {
        "qid": pd.Categorical.from_codes(np.repeat(np.arange(n_query), n_model), qid),
        "prompt": repeated(np.where(pd.isna(prompt), "", prompt), n_model),
        "domain": repeated(domain, n_model),
        "model": pd.Categorical.from_codes(np.tile(np.arange(n_model), n_query), model),
        "response": pd.Series(response, dtype=object),
        "quality": frame["quality"].to_numpy()[rows],
        "cost": frame["cost"].to_numpy()[rows],
        "family": repeated(np.array([schema.family_of(str(name)) for name in domain], dtype=object), n_model),
    }
    for name in frame.columns:
        if name not in columns:
            columns[name] = frame[name].to_numpy()[rows]
    return pd.DataFrame(columns)


def repeated(values: NDArray[np.object_], n_model: int) -> pd.Categorical:
    """Return each text ``n_model`` times in a row, as categories: it stands in memory once."""
    code, names = pd.factorize(values)
    return pd.Categorical.from_codes(np.repeat(code, n_model), pd.Index(names, dtype=object))
