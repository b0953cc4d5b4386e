"""Measure real endpoints: the stage behind ``scripts/collect_latency_openai.py``."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.core.journal import Journal
from dacr.live import catalogue as catalogues
from dacr.live.caller import Caller, CollectSettings
from dacr.live.catalogue import CatalogueEntry
from dacr.live.endpoint import checked_base_url, resolve
from dacr.live.fleet import Fleet
from dacr.live.schedule import Job, SpendCap, plan, remaining

_SAME = ("max_output_tokens", "temperature")


def collect_latency(settings: CollectSettings) -> int:
    """Call models at the stream's own arrival times and log the latency of each call.

    One line per (qid, model): the final outcome, earlier attempts listed inside. Running the same
    command again goes on where it was stopped, by Ctrl-C, kill -9 or the end of the money.
    """
    s = settings
    config_used = {name: value for name, value in vars(s).items() if name != "config"} | {"catalogue": str(s.config)}
    if s.base_url:
        checked_base_url(s.base_url, s.allow_insecure)
    known = catalogues.load(s.config)
    names = list(dict.fromkeys(s.models)) or list(known.models)
    fleet = Fleet({})
    for name, entry in _entries(known, names, bool(s.base_url) and s.max_cost_usd is None).items():
        if s.max_cost_usd is not None and entry.price is None:
            raise UserError(f"--max_cost_usd needs both prices of model {name!r}; add them to {s.config}")
        fleet.targets[name] = (entry, resolve(known, entry, s.base_url, s.api_key_env, s.allow_insecure))
    events = files.read_jsonl(s.stream, made_by="python scripts/build_stream.py")[: s.max_events]
    jobs = plan(
        events,
        list(fleet.targets),
        per_event=s.per_event_models,
        time_warp=s.time_warp,
        seed=s.seed,
        source=str(s.stream),
    )
    about = manifest.build("collect_latency_openai", config_used, {"stream": s.stream, "catalogue": s.config})
    with Journal(s.out) as journal:
        _refuse_mixed(s.out, about["config"], bool(journal.rows))
        files.write_json(_manifest_path(s.out), about)
        return asyncio.run(_collect(jobs, journal, s, fleet))


def _entries(known: catalogues.Catalogue, names: Sequence[str], allow_unlisted: bool) -> dict[str, CatalogueEntry]:
    """Return the models to call, by catalogue name, under which they are logged.

    One that is asked for by an alias is called by it: the alias is what the server knows.
    """
    entries: dict[str, CatalogueEntry] = {}
    for name in names:
        entry = known.get(name, allow_unlisted)
        if entry.name in entries:
            raise UserError(f"--models names {entry.name!r} twice: {', '.join(names)}; two names may mean one model")
        entries[entry.name] = entry if name == entry.name else replace(entry, api_name=name)
    return entries


async def _collect(jobs: list[Job], journal: Journal, settings: CollectSettings, fleet: Fleet) -> int:
    done = {(str(row.get("qid")), str(row.get("model"))) for row in journal.rows}
    spent = sum(float(row.get("cost_at_most_usd") or 0.0) for row in journal.rows)
    todo = remaining(jobs, done)
    purse = SpendCap(settings.max_cost_usd, spent)
    errors: Counter[str] = Counter()
    good = 0
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(todo), unit="call", disable=None, smoothing=0.1)

    def record(row: dict[str, Any]) -> None:
        nonlocal good
        journal.append(row)
        if row["error"]:
            errors[row["error"]] += 1
        else:
            good += 1
        bar.set_postfix(errors=errors.total(), usd=f"{purse.spent_usd:.4f}", refresh=False)
        bar.update()

    caller = Caller(settings, fleet, purse, record)
    lags: list[float] = []
    background = [asyncio.create_task(_sync_often(journal)), asyncio.create_task(_watch_loop(lags))]
    try:
        with _signals(caller), bar:
            await caller.run(todo)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        journal.sync()
    if journal.repaired:
        print(f"{journal.path}: repaired the last line, which an earlier run left torn")
    wrong = ", ".join(f"{count} {name}" for name, count in errors.most_common()) or "none"
    lag_ms = 1000 * float(np.quantile(lags, 0.99)) if lags else 0.0
    print(
        f"{len(jobs) - len(todo) + errors.total() + good} of {len(jobs)} calls recorded in {journal.path}; errors in "
        f"this run: {wrong}; at most {purse.spent_usd:.6f} USD spent in all; p99 lag of this program {lag_ms:.1f} ms"
    )
    if caller.stopped_by == "money":
        print("stopped: the next call could pass --max_cost_usd; raise it and run the same command to go on")
    if caller.stopped_by == "Ctrl-C":
        print("stopped by Ctrl-C; run the same command to go on", file=sys.stderr)
        return 130
    return 0


async def _sync_often(journal: Journal) -> None:
    while True:
        await asyncio.sleep(1.0)
        # In a thread: waiting for the disk must not be counted as latency.
        await asyncio.to_thread(journal.sync)


async def _watch_loop(lags: list[float]) -> None:
    """Measure how late this program itself is: a busy loop would be mistaken for a slow server."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.05)
        lags.append(time.perf_counter() - before - 0.05)


@contextlib.contextmanager
def _signals(caller: Caller) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    both = (signal.SIGINT, signal.SIGTERM)
    for one in both:
        loop.add_signal_handler(one, caller.stop, "Ctrl-C")
    try:
        yield
    finally:
        for one in both:
            loop.remove_signal_handler(one)


def _manifest_path(out: Path) -> Path:
    return out.with_name(out.name + ".manifest.json")


def _refuse_mixed(out: Path, config: dict[str, Any], has_rows: bool) -> None:
    path = _manifest_path(out)
    if not has_rows or not path.is_file():
        return
    with contextlib.suppress(ValueError, AttributeError):
        before = json.loads(path.read_text(encoding="utf-8")).get("config", {})
        for name in (name for name in _SAME if name in before and before[name] != config[name]):
            raise UserError(
                f"{out} was measured with --{name} {before[name]}, now it is {config[name]}; "
                "use the same, or give another --out"
            )
