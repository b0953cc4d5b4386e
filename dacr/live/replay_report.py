"""Rules and chain on recorded outcomes: what the two systems do well, and what they cost by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.data.splits import split_queries
from dacr.data.table import load
from dacr.live.chain_report import chain_calls, chain_report
from dacr.live.class_mix import class_mix
from dacr.live.recorded import Recorded, with_log
from dacr.live.rules_report import rules_by_class
from dacr.routers.rules.chain import ChainRouter
from dacr.routers.rules.router import RulesRouter

_SHOWN = (
    "family", "rules", "n", "mean_quality", "mean_cost", "fallbacks", "useful_fallbacks", "harmful_fallbacks",
    "false_refusals", "refusals", "invalid", "timeouts", "unanswered", "wasted_share",
)  # fmt: skip
_VARIANTS = (("fixed", False), ("legacy", True))


def replay_systems(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    results_dir: Path = Path("results_systems"),
    latency_log: Path | None = None,
    ood_holdout: StrList = StrList(()),  # noqa: B008 (immutable)
    max_cost_per_task_usd: float = 0.10,
    max_latency_per_call_s: float = 30.0,
    max_tokens_per_task: int = 10_000,
    first_timeout_s: float = 8.0,
    timeout_s: float = 30.0,
) -> int:
    """Report what the rule router and the fallback chain do on recorded outcomes, fixed and legacy.

    Writes class_mix.csv, rules.csv (per class), chain.csv (all and per family) and a manifest.

    Parameters
    ----------
    data : Path
        Long table from scripts/prepare_routerbench.py.
    results_dir : Path
        Folder for the tables.
    latency_log : Path | None
        Measured or simulated latency; without it nothing times out, and the tables have no latency.
    ood_holdout : StrList
        Test the domains with these prefixes; by default a fifth of each domain.
    max_cost_per_task_usd : float
        Cap of the rules, in USD.
    max_latency_per_call_s : float
        Limit of the rules, on a model's mean latency.
    max_tokens_per_task : int
        Limit of the rules.
    first_timeout_s : float
        Timeout of the chain's first model.
    timeout_s : float
        Timeout of its other models.
    """
    table = load(data)
    if latency_log is not None:
        table = with_log(table, latency_log)
    split = split_queries([str(q) for q in table.qid], [str(d) for d in table.domain], tuple(ood_holdout))
    world = Recorded.of(table, split.train, split.test)
    limits: dict[str, Any] = {
        "max_cost_per_task_usd": max_cost_per_task_usd,
        "max_latency_per_call_s": max_latency_per_call_s,
        "max_tokens_per_task": max_tokens_per_task,
    }
    timeouts = {"first_timeout_s": first_timeout_s, "timeout_s": timeout_s}
    family = table.family[split.test].astype(str)
    mix = class_mix(list(table.prompt[split.test]), list(family))
    rules = pd.concat(
        [rules_by_class(world, RulesRouter(**limits, legacy=legacy)).assign(rules=name) for name, legacy in _VARIANTS]
    )
    chains = {name: ChainRouter(**timeouts, legacy=legacy) for name, legacy in _VARIANTS}
    calls = {name: chain_calls(world, router) for name, router in chains.items()}
    parts = [("all", np.ones(len(family), dtype=bool)), *((name, family == name) for name in sorted(set(family)))]
    chain = pd.DataFrame(
        [
            {"family": part, "rules": name, **chain_report(calls[name], rows)}
            for part, rows in parts
            for name, _ in _VARIANTS
        ]
    )
    names = [table.model[m] for m in chains["fixed"].chain_]
    inputs: dict[str, str | Path] = {"data": data}
    if latency_log is not None:
        inputs["latency_log"] = latency_log
    files.make_folder(results_dir)
    for stem, frame in (("class_mix", mix), ("rules", rules), ("chain", chain)):
        files.write_text(
            results_dir / f"{stem}.csv", frame.to_csv(index=False, float_format="%.9g", lineterminator="\n")
        )
    config = {**limits, **timeouts, "chain": names}
    about = manifest.build("replay_systems", config, inputs, n_train=len(split.train), n_test=len(split.test))
    files.write_json(results_dir / "manifest.json", about)
    with pd.option_context("display.width", 200, "display.max_columns", 30, "display.precision", 4):
        print(f"chain: {' -> '.join(names)}\n")
        print(mix.to_string(index=False), rules.to_string(index=False), sep="\n\n")
        print(f"\n{chain[list(_SHOWN)].to_string(index=False)}\nwrote {results_dir}")
    return 0
