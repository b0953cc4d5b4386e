"""Join measured latency with a benchmark: an endpoint's model names are not the benchmark's.

The catalogue knows each model's aliases. A row joins if its model's name, or an alias of it, is one of the
benchmark's models; if it does not, the report says exactly why.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dacr.core import files
from dacr.core.configs import CONFIGS
from dacr.core.errors import UserError
from dacr.data.table import load as load_table
from dacr.live import catalogue as catalogues
from dacr.live.catalogue import Catalogue


def benchmark_name(name: str, models: Collection[str], catalogue: Catalogue) -> tuple[str | None, str]:
    """Return (benchmark model, how it was found) or (None, why it was not).

    Examples
    --------
    >>> from dacr.live.catalogue import Entry
    >>> from dacr.types import ModelSpec
    >>> known = Catalogue({"gpt-4-1106-preview": Entry(ModelSpec("gpt-4-1106-preview"), "x", ("gpt-4",))})
    >>> benchmark_name("GPT-4", ["gpt-4-1106-preview"], known)
    ('gpt-4-1106-preview', 'alias in the catalogue')
    """
    if name in models:
        return name, "same name"
    same = [model for model in models if model.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0], "same name but for case"
    try:
        entry = catalogue.get(name)
    except UserError:
        known = [*models, *(alias for entry in catalogue.models.values() for alias in entry.aliases)]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; the nearest known name is {near[0]!r}" if near else ""
        return None, f"no model or alias of {catalogue.source} has this name{hint}; add it as an alias there"
    names = {one.casefold() for one in (entry.spec.name, entry.api_name, *entry.aliases)}
    hits = [model for model in models if model.casefold() in names]
    if len(hits) == 1:
        return hits[0], "alias in the catalogue"
    if hits:
        return None, f"it stands for several models of the benchmark: {', '.join(hits)}; keep one of these aliases"
    return None, f"it is {entry.spec.name!r} in the catalogue, which the benchmark does not have"


def align(
    rows: Sequence[dict[str, Any]], qids: Collection[str], models: Collection[str], catalogue: Catalogue
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows that join, under the benchmark's model names, and a report line per model.

    Raises
    ------
    UserError
        Two names of the log are the same benchmark model and share a query: which one is meant?
    """
    found = {name: benchmark_name(name, models, catalogue) for name in {str(row["model"]) for row in rows}}
    known = set(qids)
    joined: list[dict[str, Any]] = []
    seen: dict[tuple[str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name, qid = str(row["model"]), str(row["qid"])
        target = found[name][0]
        if target is None:
            counts[name, "lost"] += 1
        elif qid not in known:
            counts[name, "elsewhere"] += 1
        else:
            other = seen.setdefault((qid, target), name)
            if other != name or counts[name, qid] > 0:
                raise UserError(
                    f"models {other!r} and {name!r} are both {target!r} of the benchmark, and query {qid!r} has both; "
                    "give one of them a log of its own"
                )
            counts[name, qid] += 1
            counts[name, "joined"] += 1
            counts[name, "failed"] += not row.get("ok", True)
            joined.append({**row, "model": target, "endpoint_model": row.get("endpoint_model", name)})
    lines = []
    for name, (target, how) in sorted(found.items()):
        if target is None:
            lines.append(f"{name}: {counts[name, 'lost']} calls do not join: {how}")
            continue
        more = ""
        if counts[name, "elsewhere"]:
            more += f"; {counts[name, 'elsewhere']} calls are for queries that the benchmark does not have"
        if counts[name, "failed"]:
            more += f"; {counts[name, 'failed']} of the joined calls failed"
        lines.append(f"{name} -> {target} ({how}): {counts[name, 'joined']} calls join{more}")
    missing = sorted(set(models) - {target for target, _ in found.values() if target})
    if missing:
        lines.append(f"not measured: {', '.join(missing)}; an experiment on these needs --missing_latency impute")
    return joined, lines


def align_latency(
    *,
    latency_log: Path = Path("data/latency_measured.jsonl"),
    data: Path = Path("data/routerbench_raw_long.parquet"),
    out: Path = Path("data/latency_aligned.jsonl"),
    config: Path = CONFIGS / "models.yaml",
) -> int:
    """Rename the models of a measured latency log to the benchmark's, and say what does not join and why.

    Parameters
    ----------
    latency_log : Path
        Written by scripts/collect_latency_openai.py.
    data : Path
        The benchmark's long table.
    out : Path
        The rows that join, for run_experiment --latency_log.
    config : Path
        The catalogue with the aliases.
    """
    rows = files.read_jsonl(files.existing_file(latency_log, made_by="python scripts/collect_latency_openai.py"))
    for number, row in enumerate(rows, start=1):
        if "qid" not in row or "model" not in row:
            raise UserError(f"{latency_log}, line {number}: lacks qid or model; expected a latency log")
    table = load_table(data)
    joined, lines = align(rows, [str(qid) for qid in table.qid], table.model, catalogues.load(config))
    print("\n".join(lines))
    if not joined:
        raise UserError(f"no call of {latency_log} joins {data}; the lines above say why")
    files.write_jsonl(out, joined)
    print(f"wrote {out}: {len(joined)} of {len(rows)} calls")
    return 0
