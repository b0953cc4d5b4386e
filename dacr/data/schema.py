"""The long table: one row per query and model. Every loader ends here, every stage starts here.

============  ========  =====================================================================
column        type      meaning
============  ========  =====================================================================
qid           string    query id, unique per query
prompt        string    the whole prompt, few-shot preface included
domain        string    the benchmark's ``eval_name``; its family is the part before a separator
model         string    model name
response      string    the recorded answer; empty where the benchmark has none
quality       float64   in [0, 1], fractional values kept
cost          float64   USD per call, >= 0
============  ========  =====================================================================

Two more are read where they are there: ``latency_s`` (float64, seconds, above 0; NaN where not recorded) and
``output_tokens`` (float64, tokens of the response, for benchmarks that give counts but no responses). Further
columns may follow. Rows are ordered by query (in file order), then by model (sorted by name),
and every query has every model, so that a column reshapes to ``(n_query, n_model)``.
"""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError

COLUMNS = ("qid", "prompt", "domain", "model", "response", "quality", "cost")
REQUIRED = ("qid", "prompt", "domain", "model", "quality", "cost")
MEASURED = ("latency_s", "output_tokens")
"""Numbers that a table may have beside quality and cost."""
_BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
POOLED = "all"
"""What tables call rows over all domains, or of all models."""
_CONVERT = (
    "convert it with prepare_routerbench.py --pkl FILE and --missing_outcomes drop, which leaves such queries out, or "
    "available, which keeps them"
)
COUNTED = (*MEASURED, "input_tokens")
"""The same, and what costs are made from."""


def family_of(domain: str) -> str:
    """Return the family of a domain: what stands before the first ``-`` of MMLU's subjects, ``/`` elsewhere.

    Examples
    --------
    >>> family_of("mmlu-college-physics"), family_of("bbh/snarks"), family_of("grade-school-math")
    ('mmlu', 'bbh', 'grade-school-math')
    """
    if domain.startswith("mmlu-"):
        return "mmlu"
    return domain.split("/", 1)[0]


def validate(frame: pd.DataFrame, source: str) -> None:
    """Raise :class:`UserError` unless ``frame`` is a long table with sound values.

    Checks, in order: columns, emptiness, empty ids, NaN or infinite quality and cost, quality within
    [0, 1], negative cost, duplicate (qid, model). Missing models are :func:`require_complete`'s.
    """
    missing = [column for column in REQUIRED if column not in frame.columns]
    if missing:
        raise UserError(
            f"{source}: columns {missing} are missing; got {list(frame.columns)}, expected {list(COLUMNS)}; "
            "python scripts/prepare_routerbench.py writes such a table"
        )
    if frame.empty:
        raise UserError(f"{source}: holds no rows; expected one per query and model")
    require_names(frame, source)
    validate_values(frame, source)
    twice = frame.duplicated(["qid", "model"]).to_numpy()
    if twice.any():
        raise UserError(
            f"{source}: {int(twice.sum())} (qid, model) pairs stand twice, first {_where(frame, twice)}; keep one each"
        )


def require_names(frame: pd.DataFrame, source: str) -> None:
    """Raise :class:`UserError` where an id, a domain or a model is empty, or breaks a line."""
    for column in ("qid", "domain", "model"):
        bad = empty(frame[column])
        if bad.any():
            raise UserError(f"{source}: column {column!r} is empty in {int(bad.sum())} rows; fill or drop them")
        for name in pd.unique(frame[column]):
            if _BREAKS.search(str(name)):
                raise UserError(
                    f"{source}: column {column!r} holds {str(name)!r}, with a line break or the like; rename it"
                )


def require_distinct(domains: Iterable[str], models: Iterable[str], source: str) -> None:
    """Raise :class:`UserError` where a domain or a model is called like all of them together."""
    for kind, names in (("domain", domains), ("model", models)):
        if POOLED in set(names):
            raise UserError(
                f"{source}: a {kind} is called {POOLED!r}, which stands for all {kind}s together in every table; "
                f"rename it, such as to 'all-{kind}'"
            )


def validate_values(frame: pd.DataFrame, source: str) -> None:
    """Raise :class:`UserError` unless quality, cost and what is measured are sound numbers."""
    for column in ("quality", "cost"):
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise UserError(f"{source}: column {column!r} should be numbers, got {frame[column].dtype}")
        bad = ~np.isfinite(frame[column].to_numpy(dtype=float))
        if bad.any():
            raise UserError(
                f"{source}: {column} is NaN or infinite in {int(bad.sum())} of {len(frame)} rows, first at "
                f"{_where(frame, bad)}; {_CONVERT}"
            )
    quality = frame["quality"].to_numpy(dtype=float)
    bad = (quality < 0) | (quality > 1)
    if bad.any():
        raise UserError(
            f"{source}: quality must lie in [0, 1]; {int(bad.sum())} rows do not, first at {_where(frame, bad)} "
            f"with {quality[bad][0]:g}; rescale with prepare_routerbench.py --quality_range LOW,HIGH, or clip"
        )
    cost = frame["cost"].to_numpy(dtype=float)
    bad = cost < 0
    if bad.any():
        raise UserError(
            f"{source}: cost must be at least 0 USD; {int(bad.sum())} rows are negative, first at "
            f"{_where(frame, bad)} with {cost[bad][0]:g}"
        )
    for column in COUNTED:
        if column in frame.columns:
            _validate_measured(frame, column, source)


def require_complete(frame: pd.DataFrame, source: str) -> None:
    """Raise :class:`UserError` if some query lacks some model."""
    n_model = frame["model"].nunique()
    per_query = frame.groupby("qid", sort=False, observed=True).size()
    short = per_query[per_query < n_model]
    if len(short):
        qid = short.index[0]
        have = set(frame.loc[frame["qid"] == qid, "model"])
        lacks = sorted(set(frame["model"].unique()) - have)
        raise UserError(
            f"{source}: {len(short)} of {len(per_query)} queries lack some of the {n_model} models, first "
            f"qid {qid!r} lacks {lacks[:3]}; {_CONVERT}"
        )


def incomplete(recorded: NDArray[np.bool_], name: str = "models") -> str:
    """Say how much was never recorded of a matrix (n_query, n_model); '' where everything was.

    Examples
    --------
    >>> incomplete(np.array([[True, True, True], [True, False, False], [True, True, True], [True, True, False]]))
    '2 models missing in 50.0 % of queries (25.0 % of outcomes)'
    """
    if recorded.all():
        return ""
    n_model, queries = (~recorded.all(axis=0)).sum(), (~recorded.all(axis=1)).mean()
    return f"{n_model} {name} missing in {queries:.1%} of queries ({(~recorded).mean():.1%} of outcomes)".replace(
        "%", " %"
    )


def empty(column: pd.Series) -> np.ndarray:
    """Say which texts are absent or '': of categories each is looked at once, not once per row."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        empty = np.append((column.cat.categories.astype(str) == ""), True)  # the last is code -1: absent
        return empty[column.cat.codes.to_numpy()]
    return (column.isna() | (column.astype(str) == "")).to_numpy(dtype=bool)


def _validate_measured(frame: pd.DataFrame, column: str, source: str) -> None:
    if not pd.api.types.is_numeric_dtype(frame[column]):
        raise UserError(f"{source}: column {column!r} should be numbers, got {frame[column].dtype}; drop or mend it")
    values = frame[column].to_numpy(dtype=float, na_value=np.nan)
    if column == "latency_s":
        bad, expected = (
            ~np.isnan(values) & ~((values > 0) & np.isfinite(values)),
            "above 0 s, or NaN where not recorded",
        )
    else:
        bad, expected = ~((values >= 0) & np.isfinite(values)), "a number of at least 0 in every row"
    if bad.any():
        raise UserError(
            f"{source}: {column} should be {expected}; {int(bad.sum())} rows are not, first at {_where(frame, bad)} "
            f"with {values[bad][0]:g}; mend them or drop the column"
        )


def _where(frame: pd.DataFrame, bad: np.ndarray) -> str:
    row = frame.iloc[int(np.flatnonzero(bad)[0])]
    return f"(qid {row['qid']!r}, model {row['model']!r})"
