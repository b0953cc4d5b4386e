"""Two results folders side by side: what differed in configuration and data, and paired differences."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.metrics import intervals, paired, panel, resample
from dacr.metrics.intervals import Replicates
from dacr.report.folder import MADE_BY, Results, read_csv

METRICS = (("quality", True), ("cost", False), ("slo_violation", False))
COLUMNS = ("policy", "lambda_cost", "setting", "seed", "t", "qid", "domain", *(name for name, _ in METRICS))


def compare_runs(a: Path, b: Path, *, out: Path | None = None, n_resample: int = 2000) -> None:
    """Compare two results folders: settings and inputs that differ, then B - A, paired by query.

    Parameters
    ----------
    a, b : Path
        Folders that scripts/run_experiment.py wrote.
    out : Path, optional
        CSV file for the differences of every setting; what is printed averages a router's settings.
    n_resample : int
        Bootstrap replicates.
    """
    folders = [Results.open(path) for path in (a, b)]
    print(f"A: {a}\nB: {b}\n")
    rows = list(differing(*(folder.manifest for folder in folders)))
    print("differs:" if rows else "configuration, inputs, code and versions are the same")
    for name, left, right in rows:
        print(f"  {name}: {left} -> {right}")
    print()
    made = differences_of_folders(a, b, n_resample)
    print(made.text)
    if out:
        files.write_text(out, made.per_setting.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
        print(f"wrote {out}")


class Differences:
    """B - A for every common setting, and averaged over each router's settings.

    Attributes
    ----------
    per_setting, per_router : DataFrame
        metric, name, a, b, difference, low, high, p, p_holm, verdict (of B), reason.
    text : str
        ``per_router`` and what could not be paired, for a terminal.
    """

    def __init__(self, per_setting: pd.DataFrame, per_router: pd.DataFrame, notes: list[str]) -> None:
        self.per_setting = per_setting
        self.per_router = per_router
        self.text = "\n".join([*notes, "", *_tables(per_router)])


def differences_of_folders(a: Path, b: Path, n_resample: int = 2000) -> Differences:
    """Compute B - A of two results folders: see :func:`differences`."""
    return differences(_decisions(a), _decisions(b), n_resample=n_resample)


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value in A, value in B) of everything in two manifests that differs.

    What can't matter is left out: the command line (its settings are compared one by one), the paths of files
    with the same contents, the results' own folder.
    """
    flat = [dict(_flat("", manifest)) for manifest in (a, b)]
    skip = ("argv", "files", "config.results_dir")
    for name in sorted(set(flat[0]) | set(flat[1])):
        values = [one.get(name, "(none)") for one in flat]
        if values[0] == values[1] or name.startswith(skip):
            continue
        if name.startswith("inputs.") and name.endswith((".path", ".bytes")):
            continue
        twin = f"inputs.{name.removeprefix('config.')}.sha256"
        if name.startswith("config.") and twin in flat[0] and flat[0][twin] == flat[1].get(twin):
            continue
        yield name, values[0][:60], values[1][:60]


def differences(
    a: pd.DataFrame,
    b: pd.DataFrame,
    n_resample: int = 2000,
    seed: int = 0,
) -> Differences:
    """Compute B - A on common settings and common queries, paired by query and by seed.

    Settings that only one run has, and queries that only one run has, are named in the notes and left out. What depends
    on the order of the stream (a router that learns; any router under a budget, behind queues, under a protocol) is
    resampled over orders too, and gets no interval where it was played in one order.

    Parameters
    ----------
    a, b : DataFrame
        :data:`COLUMNS` of ``decisions.parquet``, with ``learns`` and ``order_matters`` of ``metrics.csv``.
    """
    key = ["policy", "setting"]
    keys = [set(map(tuple, frame[key].drop_duplicates().to_numpy())) for frame in (a, b)]
    common = keys[0] & keys[1]
    if not common:
        raise UserError(f"the runs have no router and setting in common: A has {_few(keys[0])}; B has {_few(keys[1])}")
    queries = set(a["qid"]) & set(b["qid"])
    if not queries:
        raise UserError("the runs decided on no query in common, so nothing can be paired; compare their metrics.csv")
    notes = [f"{len(common)} settings and {len(queries)} queries in common"]
    for label, frame, own in (("A", a, keys[0]), ("B", b, keys[1])):
        if own - common:
            notes.append(f"only in {label}: {_few(own - common)}")
        if frame["qid"].nunique() > len(queries):
            notes.append(f"{label} decided on {frame['qid'].nunique() - len(queries)} further queries, left out")
    frames = []
    seeds = sorted(set(a["seed"]) & set(b["seed"]))
    notes += [] if seeds else ["the runs have no seed in common: each is averaged over its own"]
    for label, frame in (("A", a), ("B", b)):
        kept = frame[frame["qid"].isin(queries) & pd.MultiIndex.from_frame(frame[key]).isin(common)]
        if seeds:
            kept = kept[kept["seed"].isin(seeds)]
        else:
            kept = kept.assign(seed=pd.factorize(kept["seed"], sort=True)[0])
            kept = kept[kept["seed"] < min(a["seed"].nunique(), b["seed"].nunique())]
        frames.append(kept.assign(policy=label + kept["policy"].astype(str)))
    both = pd.concat(frames, ignore_index=True)
    # A run may have more seeds for routers that do not learn (--seeds) than stream orders for those that do (--orders).
    played = both[both["learns"].astype(bool)].groupby(key, observed=True)["seed"].agg(set)
    if orders := set.intersection(*played) if len(played) else set():
        both = both[both["seed"].isin(orders)]
    settings = both.groupby(["policy", "setting"], sort=False, observed=True)
    about = settings[["learns", "order_matters"]].first()
    one_order = settings[["qid", "t"]].apply(same_order)
    whole = settings["seed"].nunique() == both["seed"].nunique()
    if (about["learns"] & one_order).any():
        notes.append("all seeds replay one order of arrival: intervals of learners leave out what the order does")
    # A learner's runs differ by its draws too; of any other router one order again and again says nothing.
    crossed = about["learns"] | (about["order_matters"] & whole & ~one_order)
    in_one_order = frozenset(about.index[about["order_matters"] & ~crossed])
    block = panel.build(both, frozenset(about.index[crossed]), [name for name, _ in METRICS])
    made = _paired(block, resample.draw(block.n_query, block.n_order, n_resample, seed), in_one_order)
    return Differences(*made, notes)


def _paired(
    block: panel.Panel, draws: resample.Resamples, in_one_order: Collection[tuple[str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    pairs = list(zip(block.settings["policy"], block.settings["setting"], strict=True))
    unknown = [column for column, pair in enumerate(pairs) if pair in in_one_order]
    both = block.settings.astype({"policy": object, "setting": object})
    settings = both.assign(run=both["policy"].str[0], policy=both["policy"].str[1:])
    names = settings["policy"] + settings["setting"].map(lambda s: f" ({s})" if s else "")
    order = {name: i for i, name in enumerate(names[settings["run"] == "A"])}
    columns = [
        sorted(np.flatnonzero((settings["run"] == run).to_numpy()), key=lambda c: order[names[c]]) for run in "AB"
    ]
    routers = settings["policy"].iloc[columns[0]].reset_index(drop=True)
    per_setting, per_router = [], []
    for name, bigger in METRICS:
        whole = intervals.means(block, name, draws).without(unknown, intervals.ONE_RUN)
        first, second = (whole.take([int(c) for c in some]) for some in columns)
        per_setting.append(_rows(name, list(order), first, second, bigger))
        groups, first = intervals.averages(first, routers)
        _, second = intervals.averages(second, routers)
        per_router.append(_rows(name, groups, first, second, bigger))
    return pd.concat(per_setting, ignore_index=True), pd.concat(per_router, ignore_index=True)


def _rows(metric: str, names: list[str], first: Replicates, second: Replicates, bigger: bool) -> pd.DataFrame:
    frame = paired.between(names, first, second, bigger)
    frame.insert(0, "metric", metric)
    frame.insert(2, "a", first.estimate)
    frame.insert(3, "b", second.estimate)
    return frame


def _tables(per_router: pd.DataFrame) -> Iterator[str]:
    yield "B - A, averaged over the common settings of each router; verdict of B, Holm-corrected at 5 %"
    for metric, rows in per_router.groupby("metric", sort=False):
        shown = rows[["name", "a", "b", "difference", "low", "high", "verdict", "reason"]]
        yield f"\n{metric}\n" + shown.to_string(index=False, float_format=lambda v: f"{v:.5g}", na_rep="")


def same_order(decisions: pd.DataFrame) -> bool:
    """Tell whether all seeds of one setting see the queries in one order (one seed: yes)."""
    return bool((decisions.groupby("qid", observed=True)["t"].nunique() == 1).all())


def _decisions(folder: Path) -> pd.DataFrame:
    """Return the decisions of a folder, and what ``metrics.csv`` says of each setting."""
    results, key, flags = Results.open(folder), ["policy", "setting"], ["learns", "order_matters"]
    frame, about = results.decisions(COLUMNS).to_pandas(), read_csv(results.folder / "metrics.csv")
    try:
        settings = frame[key].drop_duplicates().astype(object)
        own = about.set_index(key)[flags].loc[pd.MultiIndex.from_frame(settings)]
    except KeyError as error:
        raise UserError(
            f"{folder}: decisions.parquet and metrics.csv are not whole ({error}); run {MADE_BY} again"
        ) from None
    code = frame.groupby(key, sort=False, observed=True).ngroup()
    return frame.assign(**{flag: own[flag].to_numpy()[code] for flag in flags})


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, json.dumps(value)


def _few(keys: set[tuple[Any, ...]]) -> str:
    names = sorted(f"{router} ({setting})" if setting else str(router) for router, setting in keys)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
