"""RouterBench's own tables, wide and raw, as rows of the long table.

Reference: Hu et al., *RouterBench: A Benchmark for Multi-LLM Routing System*, arXiv 2403.12031.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.data import schema

DEFAULT_QUALITY = "performance"


def from_wide(frame: pd.DataFrame, quality_suffix: str = DEFAULT_QUALITY) -> pd.DataFrame:
    """Stack the models of a wide file: ``n_row * n_model`` rows, the models of a query side by side.

    A model is what has a ``<model>|total_cost`` column. Its quality stands under ``<model>|<quality_suffix>``
    or, for the default suffix, under the bare model name. ``<model>|latency_s`` and ``<model>|output_tokens`` are
    taken along where every model has them.

    Raises
    ------
    UserError
        A column that every model should have is missing.
    """
    models = [name.removesuffix("|total_cost") for name in map(str, frame.columns) if name.endswith("|total_cost")]
    if not models:
        raise UserError("a wide RouterBench table has columns such as 'gpt-4|total_cost'; this one has none")
    quality = [_quality_column(frame, model, quality_suffix) for model in models]
    n_row, n_model = len(frame), len(models)
    qid = _texts(frame, ("sample_id", "qid"))
    response = np.full((n_row, n_model), "", dtype=object)
    columns = set(frame.columns)
    for j, model in enumerate(models):
        if f"{model}|model_response" in columns:
            response[:, j] = unwrap(frame[f"{model}|model_response"])
    long = pd.DataFrame(
        {
            "qid": _categories(qid).repeat(n_model),
            "prompt": _categories(unwrap(frame[_one_of(frame, ("prompt",))])).repeat(n_model),
            "domain": _categories(_texts(frame, ("eval_name", "domain"))).repeat(n_model),
            "model": pd.Categorical.from_codes(np.tile(np.arange(n_model), n_row), pd.Index(models, dtype=object)),
            "response": pd.Series(response.ravel(), dtype=object),
            "quality": _stack(frame, quality),
            "cost": _stack(frame, [f"{model}|total_cost" for model in models]),
        }
    )
    for name in schema.MEASURED:
        own = [f"{model}|{name}" for model in models]
        if set(own) <= columns:
            long[name] = _stack(frame, own)
    return long


def from_raw(frame: pd.DataFrame, quality_suffix: str = DEFAULT_QUALITY) -> pd.DataFrame:
    """Rename the columns of the raw long file and unwrap its texts; the rows stay as they are.

    Raises
    ------
    UserError
        A column is missing, or quality or cost are no numbers.
    """
    response = next((name for name in ("model_response", "response") if name in frame.columns), None)
    prompt_code, prompts = pd.factorize(frame[_one_of(frame, ("prompt",))])  # each stands once per model
    return pd.DataFrame(
        {
            "qid": _categories(_texts(frame, ("sample_id", "qid"))),
            "prompt": _categories(np.append(unwrap(prompts), "")).take(prompt_code),
            "domain": _categories(_texts(frame, ("eval_name", "domain"))),
            "model": _categories(_texts(frame, ("model", "model_name"))),
            "response": pd.Series(unwrap(frame[response]), dtype=object) if response else "",
            "quality": _numbers(frame, _one_of(frame, (quality_suffix,))),
            "cost": _numbers(frame, _one_of(frame, ("cost", "total_cost"))),
        }
    )


def unwrap(values: Iterable[Any]) -> NDArray[np.object_]:
    r"""Unwrap texts that are stringified Python lists of strings; several strings are joined with line breaks.

    Nothing is evaluated but literals, and only where a text looks like such a list; what is none stays as it is.

    Examples
    --------
    >>> unwrap(["['Add 1 and 2.']", "['Be brief.', 'Hi']", "['broken", "plain", None]).tolist()
    ['Add 1 and 2.', 'Be brief.\nHi', "['broken", 'plain', '']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a text such as ['\d'] is data, not our code
        texts = [_unwrap_one(value) for value in values]
    out = np.empty(len(texts), dtype=object)
    out[:] = texts
    return out


def _unwrap_one(value: Any) -> str:
    if isinstance(value, str):
        if len(value) < 4 or value[:2] not in ("['", '["') or value[-2:] not in ("']", '"]'):
            return value
        quote, inside = value[1], value[2:-2]
        one_string = quote == value[-2] and quote not in inside and "\n" not in inside
        if one_string and inside.count("\\") == inside.count("\\n"):  # most: no escapes but line breaks
            return inside.replace("\\n", "\n")
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return str(value)
        return "\n".join(value) if all(isinstance(part, str) for part in value) else str(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return "\n".join(str(part) for part in value)
    return "" if value is None or pd.isna(value) else str(value)


def _one_of(frame: pd.DataFrame, names: Sequence[str]) -> str:
    for name in names:
        if name in frame.columns:
            return name
    near = difflib.get_close_matches(names[0], list(map(str, frame.columns)), n=1, cutoff=0.4)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise UserError(f"the table has no column {' or '.join(map(repr, names))}{hint}; got {list(frame.columns)[:12]}")


def _quality_column(frame: pd.DataFrame, model: str, suffix: str) -> str:
    if f"{model}|{suffix}" in frame.columns:
        return f"{model}|{suffix}"
    if suffix == DEFAULT_QUALITY and model in frame.columns:
        return model
    known = sorted(str(name).split("|", 1)[1] for name in frame.columns if str(name).startswith(f"{model}|"))
    raise UserError(
        f"no quality for model {model!r}: neither a column {model + '|' + suffix!r} nor, for --quality_suffix "
        f"{DEFAULT_QUALITY}, {model!r}; its suffixes are {known}"
    )


def _texts(frame: pd.DataFrame, names: Sequence[str]) -> NDArray[np.object_]:
    column = frame[_one_of(frame, names)].astype(object)
    texts: NDArray[np.object_] = column.where(column.notna(), "").astype(str).astype(object).to_numpy()
    return texts


def _categories(texts: NDArray[np.object_]) -> pd.Categorical:
    """Keep each text once: as plain columns, prompts would stand in memory once per model."""
    code, names = pd.factorize(texts)
    return pd.Categorical.from_codes(code, pd.Index(names, dtype=object))


def _numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    try:
        values: NDArray[np.float64] = pd.to_numeric(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise UserError(f"column {name!r} should be numbers: {error}") from None
    return values


def _stack(frame: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    return np.column_stack([_numbers(frame, name) for name in names]).ravel()
