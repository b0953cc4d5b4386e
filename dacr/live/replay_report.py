"""Rules and chain on recorded outcomes: what the two systems do well, and what they cost by mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dacr import io, manifest, money
from dacr.cli import StrList
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.errors import UserError
from dacr.features.question import questions_of
from dacr.routers.answer_formats import GOOD, REFUSAL, answer_outcomes
from dacr.routers.chain import chain_of
from dacr.routers.rule_classes import CLASSES, class_codes
from dacr.routers.rule_policy import RuleEngine, RulePolicy
from dacr.routers.rules import tiers
from dacr.types import Floats, Ints


def without_template(prompts: Sequence[str], families: Sequence[str]) -> list[str]:
    """Return prompts without few-shot preface and without the lines that a family's prompts share.

    A line that stands in at least a fifth of a family's prompts (and in two) is its template's.
    """
    questions = questions_of(prompts)
    lines = [[line.strip() for line in text.splitlines() if line.strip()] for text in questions]
    counts: dict[str, Counter[str]] = {}
    sizes = Counter(families)
    for own, family in zip(lines, families, strict=True):
        counts.setdefault(family, Counter()).update(set(own))
    kept = []
    for own, family in zip(lines, families, strict=True):
        least = max(2.0, 0.2 * sizes[family])
        kept.append("\n".join(line for line in own if counts[family][line] < least))
    return kept


def class_mix(prompts: Sequence[str], families: Sequence[str]) -> pd.DataFrame:
    """Return the share of each class with and without the template text, fixed and legacy.

    Columns: text (prompt: as recorded; bare: without preface and template), rules, n, and one per class.
    """
    rows = []
    for text, tasks in (("prompt", list(prompts)), ("bare", without_template(prompts, families))):
        for legacy in (False, True):
            counts = np.bincount(class_codes(tasks, legacy), minlength=len(CLASSES))
            shares = dict(zip(CLASSES, counts / counts.sum(), strict=True))
            rows.append({"text": text, "rules": "legacy" if legacy else "fixed", "n": len(tasks), **shares})
    return pd.DataFrame(rows)


def rules_by_class(table: RoutingTable, train: Ints, test: Ints, policy: RulePolicy) -> pd.DataFrame:
    """Play the rules on the test queries: one row per class and one for all.

    Estimates are made as a user of the rules would: a price per thousand tokens and a mean latency of each
    model, from the training part. ``violations`` counts calls that break the cost cap on estimates (it
    must be 0), ``over_cap`` those whose real cost does, ``overshoot_usd`` by how much in all.
    """
    tokens_train = _tokens(table.prompt[train], policy)
    price = table.cost_usd[train].mean(axis=0) / tokens_train.mean() * 1000
    latency = (
        np.nan_to_num(np.nanmean(table.latency_s[train], axis=0)) if _has_latency(table) else np.zeros(table.n_model)
    )
    options = tiers(table.model, price, table.quality[train].mean(axis=0), latency)
    engine = RuleEngine(policy, options)
    prompts = list(table.prompt[test])
    tasks = prompts if policy.legacy else questions_of(prompts)
    decisions = [engine.decide(task, n_char=len(prompt)) for task, prompt in zip(tasks, prompts, strict=True)]
    chosen = np.array([table.model.index(one.model) if one.model else -1 for one in decisions])
    called = chosen >= 0
    own = (test, np.maximum(chosen, 0))
    cost = np.where(called, table.cost_usd[own], 0.0)
    frame = pd.DataFrame(
        {
            "task_class": [one.task_class for one in decisions],
            "quality": np.where(called, table.quality[own], 0.0),
            "cost": cost,
            "refused": ~called,
            "forced": ["exceeded" in one.reason and one.model is not None for one in decisions],
            "violation": [
                money.bill(one.estimated_cost_usd) > money.limit(policy.max_cost_per_task_usd) for one in decisions
            ],
            "over_cap": cost > policy.max_cost_per_task_usd,
            "overshoot": np.maximum(cost - policy.max_cost_per_task_usd, 0.0),
        }
    )
    parts = [("all", frame), *((name, frame[frame["task_class"] == name]) for name in CLASSES)]
    return pd.DataFrame([_rules_row(name, part) for name, part in parts if len(part)])


def _rules_row(name: str, part: pd.DataFrame) -> dict[str, object]:
    return {
        "task_class": name,
        "n": len(part),
        "mean_quality": part["quality"].mean(),
        "mean_cost": part["cost"].mean(),
        "refused": int(part["refused"].sum()),
        "forced": int(part["forced"].sum()),
        "violations": int(part["violation"].sum()),
        "over_cap": int(part["over_cap"].sum()),
        "overshoot_usd": part["overshoot"].sum(),
    }


def chain_report(
    table: RoutingTable, rows: Ints, chain: Ints, timeouts_s: Sequence[float], legacy: bool = False
) -> dict[str, object]:
    """Play the chain on recorded answers and count what its rejections were worth.

    A *useful* fallback ends in a better answer than the one first rejected, a *harmful* one rejected an answer
    that was right (quality at least .5) and ended in a worse one. A *false refusal* is an answer that was
    taken for a refusal and was right. *Wasted* money was paid for rejected answers that were wrong, and for all
    that was paid after a right answer had been rejected. Timeouts, refusals and invalid answers are paid;
    a timeout costs its time limit in latency.
    """
    responses = table.take(rows).response
    if responses is None:
        raise UserError("the table has no responses, which the chain's verdicts are read off; give one with them")
    outcome = answer_outcomes(responses, [str(name) for name in table.domain[rows]], table.n_model, legacy)
    n = len(rows)
    quality, cost, latency = np.zeros(n), np.zeros(n), np.zeros(n)
    done = np.zeros(n, dtype=bool)
    first_rejected, rejected_right = np.full(n, np.nan), np.zeros(n, dtype=bool)
    attempts = np.zeros(n, dtype=np.int64)
    wasted = 0.0
    counts = {"timeouts": 0, "refusals": 0, "invalid": 0, "false_refusals": 0}
    for model, limit in zip(chain, timeouts_s, strict=True):
        going = np.flatnonzero(~done)
        q, paid = table.quality[rows[going], model], table.cost_usd[rows[going], model]
        took = table.latency_s[rows[going], model]
        late = took > limit  # a latency that is not recorded is never a timeout
        verdict = outcome[going, model]
        good = (verdict == GOOD) & ~late
        cost[going] += paid
        latency[going] += np.where(late, limit, np.nan_to_num(took))
        attempts[going] += 1
        wasted += float(paid[~good & ((q < 0.5) | rejected_right[going])].sum())
        wasted += float(paid[good & rejected_right[going]].sum())
        counts["timeouts"] += int(late.sum())
        counts["refusals"] += int((~late & (verdict == REFUSAL)).sum())
        counts["invalid"] += int((~late & (verdict != GOOD) & (verdict != REFUSAL)).sum())
        counts["false_refusals"] += int((~late & (verdict == REFUSAL) & (q >= 0.5)).sum())
        quality[going[good]] = q[good]
        done[going[good]] = True
        bad = going[~good]
        first_rejected[bad] = np.where(np.isnan(first_rejected[bad]), q[~good], first_rejected[bad])
        rejected_right[bad] |= q[~good] >= 0.5
    fell = ~np.isnan(first_rejected)
    return {
        "rules": "legacy" if legacy else "fixed",
        "n": n,
        "mean_quality": float(quality.mean()),
        "mean_cost": float(cost.mean()),
        "mean_latency_s": float(latency.mean()) if _has_latency(table) else float("nan"),
        "mean_attempts": float(attempts.mean()),
        "fallbacks": int(fell.sum()),
        "useful_fallbacks": int((fell & (quality > first_rejected)).sum()),
        "harmful_fallbacks": int((fell & (first_rejected >= 0.5) & (quality < first_rejected)).sum()),
        "rejected_right": int(rejected_right.sum()),
        "unanswered": int((~done).sum()),
        **counts,
        "wasted_usd": wasted,
        "wasted_share": wasted / max(float(cost.sum()), 1e-12),
    }


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
        table = _with_log(table, latency_log)
    split = split_queries([str(q) for q in table.qid], [str(d) for d in table.domain], tuple(ood_holdout))
    policy = RulePolicy(
        max_cost_per_task_usd=max_cost_per_task_usd,
        max_latency_per_call_s=max_latency_per_call_s,
        max_tokens_per_task=max_tokens_per_task,
        fallback_model="",
    )
    mix = class_mix(list(table.prompt[split.test]), [str(name) for name in table.family[split.test]])
    rules = pd.concat(
        [
            rules_by_class(table, split.train, split.test, replace(policy, legacy=legacy)).assign(
                rules="legacy" if legacy else "fixed"
            )
            for legacy in (False, True)
        ]
    )
    chain = chain_of(table.model, table.cost_usd[split.train].mean(axis=0), table.quality[split.train].mean(axis=0))
    timeouts = [first_timeout_s, *[timeout_s] * (len(chain) - 1)]
    parts = [("all", split.test)]
    family = table.family[split.test]
    parts += [(str(name), split.test[family == name]) for name in sorted(set(family))]
    chains = pd.DataFrame(
        [
            {"family": name, **chain_report(table, rows, chain, timeouts, legacy)}
            for name, rows in parts
            for legacy in (False, True)
        ]
    )
    inputs: dict[str, str | Path] = {"data": data}
    if latency_log is not None:
        inputs["latency_log"] = latency_log
    io.make_folder(results_dir)
    for stem, frame in (("class_mix", mix), ("rules", rules), ("chain", chains)):
        io.write_text(results_dir / f"{stem}.csv", frame.to_csv(index=False, float_format="%.9g", lineterminator="\n"))
    config = {
        **asdict(policy),
        "first_timeout_s": first_timeout_s,
        "timeout_s": timeout_s,
        "chain": [table.model[m] for m in chain],
    }
    about = manifest.build("replay_systems", config, inputs, n_train=len(split.train), n_test=len(split.test))
    io.write_json(results_dir / "manifest.json", about)
    with pd.option_context("display.width", 200, "display.max_columns", 30, "display.precision", 4):
        print(f"chain: {' -> '.join(table.model[m] for m in chain)}\n")
        print(mix.to_string(index=False), rules.to_string(index=False), sep="\n\n")
        shown = [
            "family",
            "rules",
            "n",
            "mean_quality",
            "mean_cost",
            "fallbacks",
            "useful_fallbacks",
            "harmful_fallbacks",
        ]
        shown += ["false_refusals", "refusals", "invalid", "timeouts", "unanswered", "wasted_share"]
        print(f"\n{chains[shown].to_string(index=False)}\nwrote {results_dir}")
    return 0


def _tokens(prompts: Iterable[str], policy: RulePolicy) -> Floats:
    return np.array([-(-len(text) // 4) + policy.expected_output_tokens for text in prompts], dtype=float)


def _has_latency(table: RoutingTable) -> bool:
    return bool(np.isfinite(table.latency_s).any())


def _with_log(table: RoutingTable, path: Path) -> RoutingTable:
    from dacr.workload.latency_log import read_latency_log

    log = read_latency_log(path, table.model, "impute")
    place = {str(qid): row for row, qid in enumerate(log.qid)}
    latency = np.full((table.n_query, table.n_model), np.nan)
    rows = [(k, place[str(qid)]) for k, qid in enumerate(table.qid) if str(qid) in place]
    if rows:
        ours, theirs = np.array(rows).T
        latency[ours] = log.latency_s[theirs]
    return table.with_latency(latency)
