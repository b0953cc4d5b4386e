"""Texts and numbers of other people's tables, as the long table has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError

GAPS = ("", "NA", "N/A", "NaN", "nan", "null", "None")
"""Words that stand for a number that is missing; as texts they are texts."""


def text_of(value: Any) -> str:
    r"""Return a text; of a list of messages or of content parts their texts, joined with line breaks.

    Examples
    --------
    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"text": "Hi"}]}])
    'Be brief.\nHi'
    >>> text_of(7), text_of(7.0), text_of(None)
    ('7', '7', '')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return "\n".join(text_of(part) for part in value)
    if isinstance(value, Mapping):
        for key in ("content", "text"):
            if value.get(key) is not None:
                return text_of(value[key])
        return json.dumps(value, ensure_ascii=False, default=str)
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def read_json(value: Any) -> Any:
    """Return a field that a database may have kept as the text of its JSON."""
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # a text that begins so


def texts(column: pd.Series) -> pd.Series:
    """Return a column as texts: whole numbers without a point, '' where there is none; each category once."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        names = [text_of(name) for name in column.cat.categories]
        code, kept = pd.factorize(np.array([*names, ""], dtype=object))
        return pd.Series(pd.Categorical.from_codes(code[column.cat.codes.to_numpy()], kept), index=column.index)
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("")
    values = np.empty(len(column), dtype=object)
    values[:] = [text_of(value) for value in column]
    return pd.Series(values, index=column.index)


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column of numbers, NaN for a gap; words that are neither are a :class:`UserError`."""
    column = frame[name]
    if isinstance(column.dtype, pd.StringDtype) or column.dtype == object:
        column = column.where(~column.isin(GAPS), np.nan)
    try:
        values: NDArray[np.float64] = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise UserError(f"column {name!r} should be numbers: {error}") from None
    return values


def one_of(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """Return the first of some columns that the table has, or name the nearest."""
    import difflib

    for name in names:
        if name in frame.columns:
            return name
    near = difflib.get_close_matches(names[0], list(map(str, frame.columns)), n=1, cutoff=0.4)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise UserError(f"the table has no column {' or '.join(map(repr, names))}{hint}; got {list(frame.columns)[:12]}")


def repeated(values: NDArray[np.object_], n_model: int) -> pd.Categorical:
    """Return each text ``n_model`` times in a row, as categories: it stands in memory once."""
    code, names = pd.factorize(values)
    return pd.Categorical.from_codes(np.repeat(code, n_model), pd.Index(names, dtype=object))
