"""Reading a results folder: the tables that an experiment wrote, checked, and what was run, in words."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from dacr.core import files
from dacr.core.errors import UserError, did_you_mean

MADE_BY = "python scripts/run_experiment.py"

_POINT = ("policy", "lambda_cost", "setting")
_MEANS = ("n", "mean_quality", "mean_cost", "mean_latency_s", "p95_latency_s", "slo_violation_rate", "enforced")

REQUIRED: dict[str, tuple[str, ...]] = {
    "metrics.csv": (*_POINT, *_MEANS, "n_seed", "learns", "order_matters", "budgeted", "budget_cost"),
    "metrics_by_seed.csv": (*_POINT, "seed", *_MEANS),
    "metrics_by_domain.csv": (*_POINT, "domain", "family", *_MEANS),
    "singles.csv": ("model", "n", "mean_quality", "mean_cost", "slo_violation_rate"),
    "frontier.csv": ("policy", "seed", "area", "net_area"),
    "calibration_ece.csv": ("model", "calibrator", "domain", "stage", "setting", "n", "ece", "ece_null"),
    "reliability.csv": ("model", "calibrator", "domain", "stage", "lower", "upper", "n", "mean_p", "mean_q")
    + ("mean_q_low", "mean_q_high"),
    "budgets.csv": ("policy", "seed", "budget_cost", "mean_cost", "mean_quality", "slo_violation_rate", "enforced"),
    "regret.csv": ("policy", "setting", "reference", "t", "regret_mean", "lo", "hi"),
    "duals.csv": (*_POINT, "t", "price_cost", "price_late", "enforced", "budget_cost"),
}
"""Columns that a table must have to be read at all; any others may be there."""

TEXT = frozenset((
    "policy", "setting", "model", "label", "domain", "family", "calibrator", "stage", "kind", "note", "role", "code",
    "decision_info", "reference", "against", "measure", "verdict", "second", "title", "status", "severity", "message",
    "fix",
))  # fmt: skip
"""Columns that are text whatever they look like: a model may be called 7, a domain NA."""


FLAGS = frozenset(["learns", "order_matters", "enforced", "budgeted", "dearer"])
"""Columns that are true or false; what is empty is false."""


class Absent(UserError):
    """A figure or table cannot be made of this folder; the message says what it needs. It is skipped."""


_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
_EXACT: dict[str, Any] = {} if _PANDAS >= (3, 1) else {"float_precision": "round_trip"}
"""Before 3.1 pandas reads floats to the last bit where it is asked to; since then always, and warns of being asked."""


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV so that what was written comes back: floats to the last bit, names as text."""
    try:
        names = pd.read_csv(path, nrows=0).columns
        types = {name: str for name in names if name in TEXT}
        gaps = {name: ["", "NaN", "nan"] for name in names if name not in TEXT}
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=gaps, **_EXACT)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{str(path)!r} is not a readable CSV ({error}); run {MADE_BY} again") from None
    for name in types:
        table[name] = table[name].astype(object)
    for name in FLAGS & set(names):
        table[name] = table[name].astype(str) == "True"
    return table


def _parts_with(whole: ds.ParquetFileFragment, chosen: pd.DataFrame) -> list[int]:
    """Return the row groups that may hold what is chosen: Arrow passes over none by columns that are dictionaries."""
    at = [whole.physical_schema.names.index(name) for name in chosen.columns]
    wanted = set(chosen.itertuples(index=False, name=None))
    parts = []
    for k in range(whole.metadata.num_row_groups):
        known = [whole.metadata.row_group(k).column(i).statistics for i in at]
        several = any(one is None or not one.has_min_max or one.min != one.max for one in known)
        if several or tuple(one.min for one in known) in wanted:
            parts.append(k)
    return parts


@dataclass(frozen=True)
class Results:
    """One results folder.

    Attributes
    ----------
    only : frozenset of str
        Routers that tables have rows of; all where it is empty.

    Examples
    --------
    >>> Results.open("results_dacr").table("metrics.csv")  # doctest: +SKIP
    """

    folder: Path
    manifest: Mapping[str, Any]
    only: frozenset[str] = frozenset()
    cache: dict[str, object] = field(default_factory=dict, repr=False)
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: str | Path, only: Sequence[str] = ()) -> Self:
        """Open a results folder; :class:`UserError` where it is none, or lacks a router of ``only``."""
        path = files.existing_folder(folder, made_by=MADE_BY)
        files.existing_file(path / "metrics.csv", made_by=MADE_BY)
        manifest_path = path / "manifest.json"
        manifest: Any = {}
        if manifest_path.is_file():
            try:
                manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise UserError(f"{str(manifest_path)!r} is not JSON; run {MADE_BY} again") from None
        results = cls(path, manifest if isinstance(manifest, dict) else {}, frozenset(only))
        there = read_csv(path / "metrics.csv")["policy"].unique() if only else ()
        for name in only:
            if name not in there:
                raise UserError(
                    f"no router {name!r} in {path}{did_you_mean(name, there) or ';'} it has {', '.join(there)}"
                )
        return results

    def has(self, name: str) -> bool:
        """Say whether the folder holds this file."""
        return (self.folder / name).is_file()

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the folder; :class:`Absent` if it is not there or holds no row."""
        if name not in self._tables:
            if not self.has(name):
                raise Absent(f"there is no {name} in {self.folder}")
            table = read_csv(self.folder / name)
            missing = [column for column in REQUIRED.get(name, ()) if column not in table.columns]
            if missing:
                raise UserError(
                    f"{str(self.folder / name)!r} lacks the column {missing[0]!r}; it has "
                    f"{', '.join(map(str, table.columns))}; run {MADE_BY} again"
                )
            self._tables[name] = self._chosen(table)
        table = self._tables[name]
        if table.empty:
            raise Absent(f"{name} in {self.folder} holds no rows")
        return table.copy()

    def decisions(self, columns: Sequence[str], chosen: pd.DataFrame | None = None) -> pa.Table:
        """Return some columns of ``decisions.parquet``; names are dictionaries.

        Parameters
        ----------
        chosen : DataFrame, optional
            What is wanted, by columns that are names: one row for each policy, or policy and setting, at least one.
        """
        path = self.folder / "decisions.parquet"
        if not path.is_file():
            raise Absent(f"there is no decisions.parquet in {self.folder}; {MADE_BY} writes it")
        try:
            data = ds.dataset(path)
            missing = [column for column in columns if column not in data.schema.names]
            if missing:
                raise UserError(f"{str(path)!r} lacks the column {missing[0]!r}; run {MADE_BY} again")
            if chosen is None:
                return data.to_table(list(columns)).unify_dictionaries()
            (whole,) = data.get_fragments()
            named = chosen.to_dict("records")
            where = reduce(or_, (reduce(and_, (ds.field(key) == row[key] for key in row)) for row in named))
            table = whole.subset(row_group_ids=_parts_with(whole, chosen)).to_table(columns=list(columns), filter=where)
            return table.unify_dictionaries()
        except (OSError, ValueError) as error:
            raise UserError(f"{str(path)!r} is not readable ({error}); run {MADE_BY} again") from None

    def _chosen(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.only:
            return table
        kept = np.ones(len(table), dtype=bool)
        if "policy" in table.columns:
            kept = table["policy"].isin(self.only).to_numpy()
        elif "stage" in table.columns:  # learners stand beside calibrators there
            learnt = table["stage"].str.startswith("online")
            kept = (~learnt | table["calibrator"].isin(self.only)).to_numpy()
        return table[kept].reset_index(drop=True)

    def frontier(self, name: str = "metrics.csv") -> pd.DataFrame:
        """Return metrics without the points at which a budget was enforced: those are no settings of one frontier."""
        table = self.table(name)
        table = table[~table["enforced"]]
        if table.empty:
            raise Absent(f"{name} in {self.folder} holds enforced budgets alone")
        return table.reset_index(drop=True)

    def along_frontier(self, table: pd.DataFrame) -> pd.Series:
        """Say which rows of a table of routers and settings are a frontier's, as ``metrics.csv`` knows."""
        known = pd.MultiIndex.from_frame(self.frontier()[["policy", "setting"]].drop_duplicates())
        rows = pd.MultiIndex.from_frame(table[["policy", "setting"]].astype(object))
        return pd.Series(rows.isin(known), index=table.index)

    @property
    def budgeted(self) -> frozenset[str]:
        """Policies that keep a budget of the operator's all along their frontier (``--dacr_budget_cost`` and such)."""
        table = self.table("metrics.csv")
        return frozenset(table.loc[table["budgeted"], "policy"])

    @property
    def config(self) -> Mapping[str, Any]:
        """Settings of the run, as its manifest tells them."""
        config = self.manifest.get("config", {})
        return config if isinstance(config, dict) else {}

    @property
    def tau_s(self) -> float:
        """The latency objective in seconds; NaN where the manifest does not say."""
        value = self.config.get("tau_seconds")
        return float(value) if isinstance(value, (int, float)) else float("nan")

    @property
    def price_late(self) -> float:
        """What a late answer costs, in quality (``--lambda_lat``); 0 where the manifest does not say."""
        value = self.config.get("lambda_lat")
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def quality(self) -> str:
        """What routers are judged by, in words: quality, or net quality where a late answer has its price."""
        return "net quality" if self.price_late else "quality"

    @property
    def clairvoyant(self) -> bool:
        """Whether all decisions used true costs and lateness (``--decision_info oracle``)."""
        return str(self.config.get("decision_info", "predicted")) == "oracle"

    @property
    def held_out(self) -> list[str]:
        """Held-out domains or their prefixes, without the ``=`` of exact names; empty for an in-distribution test."""
        value = self.config.get("ood_holdout") or []
        items = value.split(",") if isinstance(value, str) else list(value)
        return [str(item).strip().removeprefix("=") for item in items if str(item).strip()]

    @property
    def setting(self) -> str:
        """The setting in one line, for the head of a figure."""
        held = self.held_out
        shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")
        parts = [f"unseen domains: {shown}" if held else "test split of seen domains"]
        parts.append(f"{int(self.table('metrics.csv')['n'].max()):,} queries")
        missing = self.manifest.get("sources", {}).get("missing_outcomes")
        if missing:
            parts.append(missing)
        if self.tau_s == self.tau_s:
            price = f", a late answer costs {self.price_late:g} of quality" if self.price_late else ""
            parts.append(f"latency objective {self.tau_s:g} s{price}")
        if self.config.get("protocol"):
            parts.append(f"protocol {self.config['protocol']}")
        if self.clairvoyant:
            parts.append("CLAIRVOYANT: true cost and lateness known")
        return " · ".join(parts)


def short_names(models: Sequence[str]) -> dict[str, str]:
    """Leave out the provider (``meta/llama`` becomes ``llama``) where the rest stays distinct; in plans of every model.

    Examples
    --------
    >>> short_names(["meta/llama", "gpt-4", "x/gpt-4"])
    {'meta/llama': 'llama', 'gpt-4': 'gpt-4', 'x/gpt-4': 'x/gpt-4'}
    >>> short_names(["gate(meta/llama, x/yi > gpt-4)"])
    {'gate(meta/llama, x/yi > gpt-4)': 'gate(llama, yi > gpt-4)'}
    """
    parts = {model: re.split(r"([(,>]\s*)", model) for model in models}
    tails = {model: "".join(one.rsplit("/", 1)[-1] for one in own) or model for model, own in parts.items()}
    counts = pd.Series(list(tails.values())).value_counts()
    return {model: tail if counts[tail] == 1 else model for model, tail in tails.items()}
