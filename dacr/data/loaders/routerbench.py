"""RouterBench's own tables, wide and raw, as rows of the long table.

Reference: Hu et al., *RouterBench: A Benchmark for Multi-LLM Routing System*, arXiv 2403.12031.
"""

import ast
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders.base import Loader, sample_rows
from dacr.data.loaders.texts import numbers, one_of, text_of, texts

DEFAULT_QUALITY = "performance"


@loaders.register("routerbench_raw")
class RouterBenchRaw(Loader):
    """The raw long file; model under ``model`` or ``model_name``, cost under ``cost`` or ``total_cost``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and a column that names the model."""
        return "sample_id" in columns and not {"model", "model_name"}.isdisjoint(columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries and two models."""
        names = {"qid": "sample_id", "domain": "eval_name", "model": "model_name", "response": "model_response"}
        return sample_rows(**names, quality="performance", cost="total_cost")

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename the columns and unwrap the texts."""
        return from_raw(frame, self.quality_suffix)


@loaders.register("routerbench_wide")
class RouterBenchWide(Loader):
    """The 0-shot and 5-shot files: quality under the bare model name or ``<model>|<suffix>``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and at least one ``<model>|total_cost``."""
        return "sample_id" in columns and any(str(name).endswith("|total_cost") for name in columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries, a group of columns for each of two models."""
        long = sample_rows()
        wide = long.drop_duplicates("qid")[["qid", "prompt", "domain"]].reset_index(drop=True)
        wide.columns = pd.Index(["sample_id", "prompt", "eval_name"])
        wide["prompt"] = [f"['{prompt}']" for prompt in wide["prompt"]]
        for name, own in long.groupby("model"):
            wide[name] = own["quality"].to_numpy()
            wide[f"{name}|model_response"] = [f"['{answer}']" for answer in own["response"]]
            wide[f"{name}|total_cost"] = own["cost"].to_numpy()
        return wide.assign(oracle_model_to_route_to="m0")

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Stack the models' columns."""
        return from_wide(frame, self.quality_suffix)


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
    qid = _named(frame, ("sample_id", "qid"))
    response = np.full((n_row, n_model), "", dtype=object)
    columns = set(frame.columns)
    for j, model in enumerate(models):
        if f"{model}|model_response" in columns:
            response[:, j] = unwrap(frame[f"{model}|model_response"])
    long = pd.DataFrame(
        {
            "qid": _categories(qid).repeat(n_model),
            "prompt": _categories(unwrap(frame[one_of(frame, ("prompt",))])).repeat(n_model),
            "domain": _categories(_named(frame, ("eval_name", "domain"))).repeat(n_model),
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
    prompt_code, prompts = pd.factorize(frame[one_of(frame, ("prompt",))])  # each stands once per model
    return pd.DataFrame(
        {
            "qid": _categories(_named(frame, ("sample_id", "qid"))),
            "prompt": _categories(np.append(unwrap(prompts), "")).take(prompt_code),
            "domain": _categories(_named(frame, ("eval_name", "domain"))),
            "model": _categories(_named(frame, ("model", "model_name"))),
            "response": pd.Series(unwrap(frame[response]), dtype=object) if response else "",
            "quality": numbers(frame, one_of(frame, (quality_suffix,))),
            "cost": numbers(frame, one_of(frame, ("cost", "total_cost"))),
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
    return text_of(value)


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


def _named(frame: pd.DataFrame, names: Sequence[str]) -> NDArray[np.object_]:
    return texts(frame[one_of(frame, names)]).to_numpy(dtype=object)


def _categories(texts: NDArray[np.object_]) -> pd.Categorical:
    """Keep each text once: as plain columns, prompts would stand in memory once per model."""
    code, names = pd.factorize(texts)
    return pd.Categorical.from_codes(code, pd.Index(names, dtype=object))


def _stack(frame: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    return np.column_stack([numbers(frame, name) for name in names]).ravel()
