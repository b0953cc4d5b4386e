"""Read a latency log, measured or simulated: ``qid, model, latency_s, ok`` (+ ``arrival_s``) a line.

A latency that is missing stays missing (NaN), or the query goes, or it is imputed: it never becomes 0 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError, unknown
from dacr.types import Bools, Floats
from dacr.workload.stream import line_number

MADE_BY = "python scripts/simulate_latency.py"
SCHEMA = pa.schema(
    [
        ("qid", pa.string()),
        ("model", pa.string()),
        ("latency_s", pa.float64()),
        ("ok", pa.bool_()),
        ("arrival_s", pa.float64()),
    ]
)
MissingLatency = Literal["error", "drop", "impute"]


@dataclass(frozen=True)
class LatencyLog:
    """Latencies of queries, by arrival where that is known, else in the order of the file.

    Attributes
    ----------
    qid : (n,) object
    models : tuple of str
        Names of the columns.
    latency_s : (n, n_model) float, seconds
        NaN where missing; nowhere after ``drop`` or ``impute``.
    arrival_s : (n,) float, stream seconds; NaN where not recorded
    recorded : (n, n_model) bool
        Where the log itself has a latency.
    coverage : float
        Share of the log's queries x models that it has, before ``drop`` and ``impute``.
    n_failed, n_imputed : int
        Calls that failed; latencies filled in.
    dropped : (n_dropped,) object
        Queries that were left out.
    """

    qid: NDArray[np.object_]
    models: tuple[str, ...]
    latency_s: Floats
    arrival_s: Floats
    recorded: Bools
    coverage: float
    n_failed: int = 0
    n_imputed: int = 0
    dropped: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, dtype=object))

    @property
    def n_dropped(self) -> int:
        """How many queries were left out."""
        return len(self.dropped)

    def __len__(self) -> int:
        return len(self.qid)


def read_latency_log(path: str | Path, models: Sequence[str], missing: MissingLatency = "error") -> LatencyLog:
    """Read a latency log for the given models.

    Parameters
    ----------
    models : (n_model,) str
        The table's models, which give the columns.
    missing : {"error", "drop", "impute"}
        What to do about a query that lacks some model (``--missing_latency``). A failed call (``ok`` false)
        counts as missing. ``impute`` fills in the model's median times how slow the query was for the
        models that are recorded (the median of latency / median over them).

    Raises
    ------
    UserError
        A missing file or field; a latency of a call that is ok and NaN, 0 or negative; a model that is
        none of ``models``; a (qid, model) that stands twice; missing latencies under ``error``.
    """
    path = files.existing_file(path, made_by=MADE_BY)
    frame = _read(path)
    _validate(frame, path, models)
    code, qid = pd.factorize(frame["qid"], sort=False)
    column = pd.Index(list(models)).get_indexer(frame["model"])
    ok = frame["ok"].to_numpy(dtype=bool)
    latency_s = np.full((len(qid), len(models)), np.nan)
    latency_s[code[ok], column[ok]] = frame["latency_s"].to_numpy(dtype=float)[ok]
    arrival_s = np.full(len(qid), np.nan)
    if "arrival_s" in frame:
        arrival_s[code[::-1]] = frame["arrival_s"].to_numpy(dtype=float)[::-1]
    if np.isfinite(arrival_s).all():
        order = np.argsort(arrival_s, kind="stable")
        qid, latency_s, arrival_s = qid[order], latency_s[order], arrival_s[order]
    log = LatencyLog(
        qid=np.asarray(qid, dtype=object),
        models=tuple(models),
        latency_s=latency_s,
        arrival_s=arrival_s,
        recorded=np.isfinite(latency_s),
        coverage=float(np.isfinite(latency_s).mean()),
        n_failed=int((~ok).sum()),
    )
    return log if log.recorded.all() else _treat(log, missing, path)


def _treat(log: LatencyLog, missing: str, path: Path) -> LatencyLog:
    whole = log.recorded.all(axis=1)
    if missing == "error":
        first = int(np.flatnonzero(~whole)[0])
        lacks = [log.models[place] for place in np.flatnonzero(~log.recorded[first])]
        failed = f"; {log.n_failed} calls failed" if log.n_failed else ""
        raise UserError(
            f"{path}: latency coverage is {_percent(log.coverage)}: {int((~whole).sum())} of {len(log)} queries lack "
            f"some of the {len(log.models)} models, first qid {log.qid[first]!r} lacks {lacks[:3]}{failed}; "
            "to go on use --missing_latency drop (leaves such queries out) or --missing_latency impute"
        )
    if missing == "drop":
        if not whole.any():
            raise UserError(
                f"{path}: latency coverage is {_percent(log.coverage)} and every query lacks some model, so that "
                "--missing_latency drop leaves none; record the missing models, or use --missing_latency impute"
            )
        kept = {name: getattr(log, name)[whole] for name in ("qid", "latency_s", "arrival_s", "recorded")}
        return replace(log, **kept, dropped=log.qid[~whole])
    return replace(log, latency_s=_imputed(log, path), n_imputed=int((~log.recorded).sum()))


def _imputed(log: LatencyLog, path: Path) -> Floats:
    never = [log.models[place] for place in np.flatnonzero(~log.recorded.any(axis=0))]
    if never:
        raise UserError(
            f"{path}: no latency at all of {never[:3]}, so that there is nothing to impute it from; record some, "
            "or simulate the log with python scripts/simulate_latency.py"
        )
    typical = np.nanmedian(log.latency_s, axis=0)
    some = log.recorded.any(axis=1)
    slowness = np.ones(len(log))
    slowness[some] = np.nanmedian(log.latency_s[some] / typical, axis=1)
    return np.where(log.recorded, log.latency_s, typical[None, :] * slowness[:, None])


def _validate(frame: pd.DataFrame, path: Path, models: Sequence[str]) -> None:
    def refuse(bad: Bools, what: str) -> None:
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            row = frame.iloc[at]
            shown = {name: row[name] for name in ("qid", "model", "latency_s") if name in frame}
            text = ", ".join(f"{name} {value!r}" for name, value in shown.items())
            raise UserError(f"{path}, line {line_number(path, at)} ({int(bad.sum())} such lines): {what}; got {text}")

    for name in ("qid", "model", "latency_s", "ok"):
        if name not in frame:
            raise UserError(
                f"{path}: no line has the field {name!r}; got {list(frame)}; expected qid, model, latency_s, ok"
            )
    for name in ("qid", "model"):
        strings = frame[name].map(lambda value: isinstance(value, str) and value != "").to_numpy(dtype=bool)
        refuse(~strings, f"{name} must be a string that is not empty")
    # by kind, not by value: 1 == True
    refuse(~frame["ok"].map(lambda value: isinstance(value, bool)).to_numpy(dtype=bool), "ok must be true or false")
    for name in sorted(set(frame["model"]) - set(models)):
        raise unknown(f"{path}: the table has no model", name, models, "it has")
    numbers = pd.to_numeric(frame["latency_s"], errors="coerce").to_numpy(dtype=float)
    ok = frame["ok"].to_numpy(dtype=bool)
    refuse(ok & ~(np.isfinite(numbers) & (numbers > 0)), "latency_s of a call that is ok must be a number above 0")
    frame["latency_s"] = numbers
    if "arrival_s" in frame:
        given = frame["arrival_s"].notna().to_numpy(dtype=bool)
        times = pd.to_numeric(frame["arrival_s"], errors="coerce").to_numpy(dtype=float)
        refuse(given & ~(np.isfinite(times) & (times >= 0)), "arrival_s must be a number of at least 0")
        frame["arrival_s"] = times
    refuse(frame.duplicated(["qid", "model"]).to_numpy(), "this (qid, model) stands already further up; keep one")


def _read(path: Path) -> pd.DataFrame:
    # a schema, because without one a string that looks like a date becomes a date
    options = pa.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
    try:
        table = pa.json.read_json(path, parse_options=options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # the slow reader names the line that is no JSON; mixed kinds of values pass it and are checked later
        return pd.DataFrame(files.read_jsonl(path))
    if table.num_rows == 0:
        raise UserError(f"{path} holds no lines; run {MADE_BY} again")
    return table.to_pandas()


def _percent(share: float) -> str:
    # 99.99 must not read as 100
    return f"{np.floor(share * 1000) / 10:.1f} %"
