"""Files of decisions: read in any of their forms, laid out by query, and audited on the way."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core.errors import UserError, unknown
from dacr.data.loaders.frames import frames
from dacr.data.sources import members
from dacr.data.table import RoutingTable
from dacr.routers.plans.base import is_plan
from dacr.types import SHED, Floats, Ints, Played

NAMES = {
    "policy": "router", "seed": "order", "p_hat": "p", "cost": "cost_usd",  # decisions.parquet
    "global index": "qid", "prediction": "model", "accuracy": "quality",  # RouterArena's predictions
}  # fmt: skip
"""Other names of columns, and what they are called here."""

REQUIRED = ("qid", "model")
_TEXTS = ("router", "setting", "qid", "model", "split")
_NUMBERS = ("cost_usd", "latency_s", "p", "propensity", "quality")

GROUP = ["router", "setting", "order"]


@dataclass(frozen=True)
class Submission:
    """What one router did at one setting, all orders, on the queries that are scored.

    Attributes
    ----------
    played : Played
        Arrays (n_order, n); cost is that of all models asked.
    order : tuple of int
        Names of the stream orders.
    claimed_cost : (n_order, n) float, USD
        What the file says; NaN where it says nothing.
    enforced : bool
        The setting was held to a budget: it is no point of a frontier.
    """

    router: str
    setting: str
    played: Played
    order: tuple[int, ...]
    claimed_cost: Floats
    enforced: bool = False

    @property
    def order_matters(self) -> bool:
        """Whether orders differ in a decision: it learns, draws, or keeps a budget."""
        model = np.empty_like(self.played.model)
        np.put_along_axis(model, self.played.row, self.played.model, axis=1)
        return bool((model != model[:1]).any())


def read(path: str | Path) -> pd.DataFrame:
    """Read a file of decisions: CSV, JSON, JSONL or Parquet.

    Returns
    -------
    DataFrame
        router (by default the file's stem), setting, order, qid, model ('' where none was called), split, enforced
        (a point under an enforced budget is none of a frontier), asked (list of models, in order, or None), n_asked,
        cost_usd, latency_s, p, propensity, quality (the last six NaN where not said).
    """
    frame = pd.concat([part for one in members(path) for part in frames(one, False)], ignore_index=True)
    if "for_optimality" in frame:  # RouterArena asks for further answers, which were no decisions
        frame = frame[~frame["for_optimality"].fillna(False).astype(bool)]
    frame = frame.rename(columns={old: new for old, new in NAMES.items() if old in frame and new not in frame})
    missing = [name for name in REQUIRED if name not in frame]
    if missing:
        raise UserError(
            f"{path} has no column {missing[0]!r}; decisions need qid and model, and may have router, setting, order, "
            f"attempts, p, propensity, cost_usd, latency_s, split; got {', '.join(map(str, frame.columns[:12]))}"
        )
    out = pd.DataFrame(index=frame.index)
    for name in _TEXTS:
        default = Path(path).stem if name == "router" else ""
        out[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str) if name in frame else default
    for name in _NUMBERS:
        out[name] = _number(frame, name, path) if name in frame else np.nan
    told = frame["enforced"] if "enforced" in frame else pd.Series(False, index=frame.index)
    out["enforced"] = told.astype(str).str.lower() == "true"
    out["order"] = _number(frame, "order", path).astype(np.int64) if "order" in frame else 0
    given = frame["attempts"] if "attempts" in frame else pd.Series(np.nan, index=frame.index)
    out["asked"] = given.map(_listed)
    counted = pd.to_numeric(given.where(out["asked"].isna()), errors="coerce")
    out["n_asked"] = out["asked"].map(len, na_action="ignore").astype(float).fillna(counted)
    return out.reset_index(drop=True)


def lay_out(frame: pd.DataFrame, table: RoutingTable) -> tuple[list[Submission], RoutingTable, list[dict[str, Any]]]:
    """Lay decisions out by query, on the queries that every router decided on at every setting.

    Returns
    -------
    decided : list of Submission, one per router and setting
    table : RoutingTable
        Of the queries that are scored.
    audit : list of dict
        router, severity, finding, n: what was left out, and why.
    """
    audit: list[dict[str, Any]] = []

    def left_out(rows: pd.Series, severity: str, finding: str) -> pd.DataFrame:
        for router, n in frame.loc[rows, "router"].value_counts(sort=False).items():
            audit.append({"router": router, "severity": severity, "finding": finding, "n": int(n)})
        return frame[~rows]

    frame = left_out(
        (frame["split"] != "") & (frame["split"] != "test"),
        "warning",
        "decisions on queries that the file marks as other than test are not scored",
    )
    frame = left_out(~frame["qid"].isin(set(table.qid)), "warning", "queries that the data has not are not scored")
    frame = left_out(
        frame.duplicated([*GROUP, "qid"]), "error", "a query was decided on twice in one order: the first one is scored"
    )
    if frame.empty:
        raise UserError("no decision is on a query of --data; qid has to be that of the data's column qid")
    _check_models(frame, table.model)
    frame = left_out(_unrecorded(frame, table), "warning", "decisions for a model not recorded there are not scored")
    n_group = frame[GROUP].drop_duplicates().shape[0]
    counts = frame["qid"].value_counts()
    common = set(counts.index[counts == n_group])
    if not common:
        raise UserError("no query was decided on by all routers at all settings and orders; score them one by one")
    frame = left_out(~frame["qid"].isin(common), "warning", "queries that not all routers decided on are not scored")
    scored = table.take(np.flatnonzero(np.isin(table.qid, list(common))))
    share = len(common) / table.n_query
    for router in frame["router"].unique():
        finding = f"scored on {len(common)} of the {table.n_query} queries of the data ({share:.1%})"
        audit.append({"router": router, "severity": "info", "finding": finding, "n": len(common)})
    decided = [
        _decided(str(router), str(setting), part, scored)
        for (router, setting), part in frame.groupby(["router", "setting"], sort=False)
    ]
    return decided, scored, audit


def _unrecorded(frame: pd.DataFrame, table: RoutingTable) -> pd.Series:
    """Say which decisions called a model that was not recorded for the query."""
    if table.recorded is None:
        return pd.Series(False, index=frame.index)
    asked = frame["asked"].where(frame["asked"].notna(), frame["model"].map(lambda name: [name]))
    pairs = frame.assign(asked=asked)[["qid", "asked"]].explode("asked")
    pairs = pairs[pairs["asked"].notna() & (pairs["asked"] != "")]
    row, model = pd.Index(table.qid).get_indexer(pairs["qid"]), pd.Index(table.model).get_indexer(pairs["asked"])
    return frame.index.to_series().isin(pairs.index[~table.recorded[row, model]])


def _decided(router: str, setting: str, part: pd.DataFrame, table: RoutingTable) -> Submission:
    part = part.sort_values("order", kind="stable")
    orders = part["order"].unique()
    shape = (len(orders), table.n_query)
    row = pd.Index(table.qid).get_indexer(part["qid"])
    model = pd.Index([*table.model, ""]).get_indexer(part["model"])
    shed = model == table.n_model
    cost, latency, calls = _of_calls(part, row, np.where(shed, SHED, model), table)
    kept = np.where(shed, 0, model)
    played = Played(
        row=row.reshape(shape),
        model=np.where(shed, SHED, model).reshape(shape),
        quality=np.where(shed, 0.0, table.quality[row, kept]).reshape(shape),
        cost_usd=cost.reshape(shape),
        latency_s=latency.reshape(shape),
        attempts=calls.reshape(shape),
        propensity=part["propensity"].fillna(1.0).to_numpy().reshape(shape),
        p_hat=part["p"].to_numpy().reshape(shape),
        cost_hat=np.full(shape, np.nan),
        p_late=np.full(shape, np.nan),
    )
    claimed = part["cost_usd"].to_numpy().reshape(shape)
    return Submission(router, setting, played, tuple(map(int, orders)), claimed, bool(part["enforced"].any()))


def _of_calls(part: pd.DataFrame, row: Ints, model: Ints, table: RoutingTable) -> tuple[Floats, Floats, Ints]:
    """Return cost, latency and number of calls of each decision: recorded where models are named, else claimed."""
    n_asked = part["n_asked"].fillna(pd.Series((model != SHED).astype(float), index=part.index)).to_numpy()
    listed = part["asked"].notna().to_numpy()
    planned = np.array([is_plan(name) for name in table.model])[np.maximum(model, 0)]
    single = ~listed & (model != SHED) & ((n_asked <= 1) | planned)
    cost = np.where(single, table.cost_usd[row, np.maximum(model, 0)], 0.0)
    latency = np.where(single, table.latency_s[row, np.maximum(model, 0)], 0.0)
    named = part["asked"].reset_index(drop=True)[listed].explode().dropna()
    asked = pd.Index(table.model).get_indexer(named)
    at = named.index.to_numpy(dtype=np.int64)
    np.add.at(cost, at, table.cost_usd[row[at], asked])
    np.add.at(latency, at, table.latency_s[row[at], asked])
    unnamed = ~listed & (n_asked > 1) & ~planned
    claimed = part["cost_usd"].to_numpy()
    if np.isnan(claimed[unnamed]).any():
        qid = part["qid"].to_numpy()[unnamed & np.isnan(claimed)][0]
        raise UserError(
            f"{part['router'].iloc[0]} asked several models about {qid!r}, and the file neither names them nor says "
            "what they cost; give attempts as a list of models, or cost_usd"
        )
    cost = np.where(unnamed, claimed, cost)
    told = part["latency_s"].to_numpy()
    latency = np.where(np.isfinite(told), told, np.where(unnamed, np.nan, latency))
    return cost, np.where(n_asked == 0, np.nan, latency), n_asked.astype(np.int64)


def _check_models(frame: pd.DataFrame, known: Sequence[str]) -> None:
    named = [frame["model"], frame["asked"].dropna().explode().dropna()]
    for name in sorted(set(pd.concat(named).astype(str)) - {*known, ""}):
        raise unknown("the data has no model", name, known, "it has")


def _listed(value: object) -> list[str] | None:
    """Return the models of one cell: a list, its JSON, or names joined by ``>``; None where the cell is a number."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [str(name) for name in value]
    if not isinstance(value, str) or not value.strip() or value.replace(".", "", 1).isdigit():
        return None
    if value.lstrip().startswith("["):
        try:
            return [str(name) for name in json.loads(value)]
        except json.JSONDecodeError:
            raise UserError(f"attempts {value!r} is no JSON list of models") from None
    return [name.strip() for name in value.split(">")]


def _number(frame: pd.DataFrame, name: str, path: str | Path) -> pd.Series:
    numbers = pd.to_numeric(frame[name], errors="coerce").astype(float)
    bad = numbers.isna() & frame[name].notna() & (frame[name].astype(str).str.strip() != "")
    if bad.any():
        raise UserError(f"{path}: column {name} holds {frame.loc[bad, name].iloc[0]!r}, expected a number")
    return numbers
