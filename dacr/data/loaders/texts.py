"""Texts and numbers of other people's tables, as the long table has them: keys, tokens and addresses masked."""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
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


def number(value: Any) -> float:
    """Return a recorded number; NaN where there is none. Truth values count as 1 and 0."""
    if value is None or value == "":
        return float("nan")
    return float(value)


def get(record: Any, path: str, default: Any = None) -> Any:
    """Return the value at a dotted path of a record, ``default`` where there is none."""
    for key in path.split("."):
        if not isinstance(record, Mapping) or key not in record:
            return default
        record = record[key]
    return record


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


MASK = "[masked]"

_KEYS = (
    r"\bsk-[A-Za-z0-9_\-]{16,}",  # OpenAI, Anthropic, OpenRouter, LiteLLM
    r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[A-Za-z0-9_\-]{30,}",  # Google
    r"\bya29\.[A-Za-z0-9_\-]{20,}",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}",  # GitHub
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_\-]{16,}",  # GitLab
    r"\bhf_[A-Za-z0-9]{20,}",  # Hugging Face
    r"\bgsk_[A-Za-z0-9]{20,}",  # Groq
    r"\bxai-[A-Za-z0-9]{20,}",
    r"\br8_[A-Za-z0-9]{20,}",  # Replicate
    r"\bpplx-[A-Za-z0-9]{20,}",
    r"\bnvapi-[A-Za-z0-9_\-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"\bxapp-[A-Za-z0-9\-]{10,}",
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/]+",
    r"\bnpm_[A-Za-z0-9]{20,}",
    r"\bpypi-[A-Za-z0-9_\-]{20,}",
    r"\bdop_v1_[a-f0-9]{20,}",  # DigitalOcean
    r"\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",  # SendGrid
    r"\bSK[a-f0-9]{32}\b",  # Twilio
    r"\blsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",  # LangSmith
    r"\b(?:pk|sk)-lf-[A-Za-z0-9\-]{16,}",  # Langfuse
    r"\bwandb_[A-Za-z0-9]{20,}",
    r"\bEAA[A-Za-z0-9]{30,}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",  # JSON web tokens
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/\-]{12,}=*",
    r"(?i:\bbasic\s+)[A-Za-z0-9+/]{16,}=*",
    r"\b[a-z][a-z0-9+.\-]*://[^\s:/@]+:[^\s@/]+@",  # a password in an address
    r"(?i:\b(?:api[_\-]?key|secret(?:[_\-]?key)?|access[_\-]?token|auth[_\-]?token|password|passwd)\b[\"']?\s*[:=]\s*)"
    r"[\"']?[A-Za-z0-9._~+/\-]{12,}",
    r"\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}\b",  # e-mail
)
# What each of them has to hold. Arrow's search is some fifty times as fast as Python's, and most texts hold none.
_HINT = (
    r"@|(?i:bearer|basic)[^A-Za-z0-9]+[A-Za-z0-9._~+/\-]{12}"
    r"|sk-|pk-|_live_|_test_|AKIA|ASIA|AROA|AIDA|AIza|ya29|gh[pousr]_|github_pat|glpat|hf_|gsk_|xai-"
    r"|r8_|pplx-|nvapi|xox|xapp|hooks\.slack|npm_|pypi-|dop_v1|SG\.|SK[a-f0-9]{32}|lsv2_|wandb_|EAA|eyJ|PRIVATE KEY"
    r"|(?i:key|secret|token|passwd|password)[^A-Za-z0-9]*[:=]"
)


@functools.cache
def _any() -> re.Pattern[str]:
    """Compile the patterns when a text may hold one of them: it takes 30 ms, and most processes mask nothing."""
    return re.compile("|".join(f"(?:{key})" for key in _KEYS))


def masked(text: str) -> str:
    """Return a text without keys, tokens and addresses.

    Examples
    --------
    >>> masked("mail ann@example.org, key sk-abcdefghijklmnop1234")
    'mail [masked], key [masked]'
    """
    return _any().sub(MASK, text)


def masked_column(column: pd.Series) -> pd.Series:
    """Return a column of masked texts; a text that stands often is searched once, what is no text stays."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        code, names = column.cat.codes.to_numpy(), column.cat.categories.astype(object)
    else:
        code, names = pd.factorize(column.astype(object))
    texts = pa.array([name if isinstance(name, str) else "" for name in names], type=pa.large_string())
    rows = np.flatnonzero(pc.match_substring_regex(texts, _HINT).to_numpy(zero_copy_only=False))
    clean = np.array([*names, None], dtype=object)
    clean[rows] = [masked(name) for name in clean[rows]]
    changed = any(clean[i] != names[i] for i in rows)
    return pd.Series(clean[code], index=column.index) if changed else column
