"""Rules and chain on recorded outcomes: what the two systems do well, and what they cost by mistake."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.rng import keys_of
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.estimates.features.question import questions_of
from dacr.estimates.fitted import Fitted
from dacr.replay.static import play_static
from dacr.routers.base import Router
from dacr.routers.rules.answers import INVALID, REFUSAL
from dacr.routers.rules.chain import ChainRouter
from dacr.routers.rules.classes import CLASSES, class_codes
from dacr.routers.rules.engine import RulePolicy
from dacr.routers.rules.router import RulesRouter
from dacr.routers.texts import TextReader, hand_over
from dacr.types import SHED, Estimates, Ints, Outcomes, Played, Runs, Training
from dacr.workload.latency_log import read_latency_log

RIGHT = 0.5
"""An answer of at least this quality is right."""

_SHOWN = (
    "family", "n", "mean_quality", "mean_cost", "fallbacks", "useful_fallbacks", "harmful_fallbacks",
    "false_refusals", "refusals", "invalid", "timeouts", "unanswered", "wasted_share",
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """A split of a table. Nobody predicts anything here: a call costs its tokens at the model's mean price.

    Attributes
    ----------
    test : (n,) int
        Rows of the table that are played.
    training : Training
        What routers are fitted on.
    requests : Estimates of n
    truth : Outcomes of n
        A latency that is not recorded is NaN, and never late.
    """

    table: RoutingTable
    test: Ints
    training: Training
    requests: Estimates
    truth: Outcomes

    @classmethod
    def of(cls, table: RoutingTable, train: Ints, test: Ints) -> Self:
        """Return the world of a split.

        A prompt has characters / 4 tokens and an answer as many as the rules expect; a model's price per token is its
        mean training cost over the mean tokens of a call.
        """
        tokens = RulePolicy().tokens(np.array([len(text) for text in table.prompt])).astype(float)
        cost = tokens[:, None] * (table.cost_usd[train].mean(axis=0) / tokens[train].mean())
        expected = np.tile(table.quality[train].mean(axis=0), (table.n_query, 1))
        label = table.domain.astype(str)
        known = Fitted(table.model, tuple(np.unique(label).tolist())).estimates(
            keys_of(table.qid), np.zeros((table.n_query, 0), np.float32), label, expected, cost, np.zeros_like(cost)
        )
        never = np.zeros(cost.shape, dtype=bool)
        happened, truth = (
            Outcomes(table.quality[rows], table.cost_usd[rows], table.latency_s[rows], never[rows])
            for rows in (train, test)
        )
        return cls(table, test, Training(known.take(train), happened, np.inf), known.take(test), truth)

    def play(self, router: Router) -> Played:
        """Fit a router, hand it the texts if it reads any, and play it: one run, in the order of ``test``."""
        router.fit(self.training)
        if isinstance(router, TextReader):
            hand_over(router, self.requests.key, self.table.domain[self.test], self.table, self.test)
        runs = Runs(np.arange(len(self.test))[None], self.requests.arrival_s, (1,))
        return play_static(router, self.requests, self.truth, runs)


def class_mix(prompts: Sequence[str], families: Sequence[str]) -> pd.DataFrame:
    """Return the share of each class in prompts as recorded, and in what of them is no template."""
    rows = []
    for text, tasks in (("prompt", prompts), ("bare", without_template(prompts, families))):
        shares = np.bincount(class_codes(tasks), minlength=len(CLASSES)) / len(tasks)
        rows.append({"text": text, "n": len(tasks), **dict(zip(CLASSES, shares, strict=True))})
    return pd.DataFrame(rows)


def without_template(prompts: Sequence[str], families: Sequence[str]) -> list[str]:
    """Return prompts without few-shot preface and without the lines that a family's prompts share.

    A line that stands in at least a fifth of a family's prompts (and in two) is its template's.
    """
    lines = [[line.strip() for line in text.splitlines() if line.strip()] for text in questions_of(prompts)]
    sizes = Counter(families)
    counts = Counter((family, line) for own, family in zip(lines, families, strict=True) for line in set(own))
    return [
        "\n".join(line for line in own if counts[family, line] < max(2.0, 0.2 * sizes[family]))
        for own, family in zip(lines, families, strict=True)
    ]


def rules_by_class(world: Recorded, router: RulesRouter) -> pd.DataFrame:
    """Play the rules: one row for all requests and one per class.

    ``refused`` counts requests without a call, ``forced`` those whose class's preferred model broke a limit, so that
    another was called. ``violations`` counts calls that break the cost cap on estimates (it must be 0), ``over_cap``
    those whose real cost does, ``overshoot_usd`` by how much in all.
    """
    played = world.play(router)
    model, cost, cap = played.model[0], played.cost_usd[0], router.max_cost_per_task_usd
    called = model != SHED
    code = router.classes(world.requests)
    expected = world.requests.cost_hat[np.arange(len(model)), np.maximum(model, 0)]
    frame = pd.DataFrame(
        {
            "n": 1,
            "mean_quality": played.quality[0],
            "mean_cost": cost,
            "refused": ~called,
            "forced": called & (model != router.rank_[code].argmin(axis=1)),
            "violations": called & (expected > cap),
            "over_cap": cost > cap,
            "overshoot_usd": np.maximum(cost - cap, 0.0),
        }
    )
    sums = {name: "mean" if name.startswith("mean") else "sum" for name in frame}
    named = pd.Categorical(np.array(CLASSES)[code], CLASSES)
    by_class = frame.groupby(named, observed=True).agg(sums)
    return pd.concat([frame.agg(sums).to_frame("all").T, by_class]).rename_axis("task_class").reset_index()


def chain_calls(world: Recorded, router: ChainRouter) -> pd.DataFrame:
    """Play the chain and say of each request what came of its calls: one row each.

    A *useful* fallback ends in a better answer than the one first rejected, a *harmful* one rejected an answer
    that was right and ended in a worse one. A *false refusal* is an answer that was taken for a refusal and was right.
    *Wasted* money was paid for rejected answers that were wrong, and for all that was paid after a right answer had
    been rejected. Every call is paid, and takes its whole recorded latency, as in every replay.

    Raises
    ------
    UserError
        The table has no responses.
    """
    played = world.play(router)
    verdict = router.verdicts(world.requests)
    if verdict is None:
        raise UserError("the table has no responses, which the chain's verdicts are read off; give one with them")
    chain = router.chain_
    place = np.arange(len(chain))
    quality, cost = world.truth.quality[:, chain], world.truth.cost_usd[:, chain]
    # (n, n_chain): which models were called, and whose answers were rejected, for what.
    tried = place < played.attempts[0][:, None]
    rejected = tried & (chain != played.model[0][:, None])
    late = world.truth.latency_s[:, chain] > np.where(place == 0, router.first_timeout_s, router.timeout_s)
    right = quality >= RIGHT
    refused = rejected & ~late & (verdict == REFUSAL)
    lost = rejected & right
    after_lost = np.cumsum(lost, axis=1) > lost
    wasted = (rejected & ~right) | (tried & after_lost)
    fell, last, first = rejected.any(axis=1), played.quality[0], quality[:, 0]
    return pd.DataFrame(
        {
            "mean_quality": last,
            "mean_cost": played.cost_usd[0],
            "mean_latency_s": played.latency_s[0],
            "mean_attempts": played.attempts[0],
            "fallbacks": fell,
            "useful_fallbacks": fell & (last > first),
            "harmful_fallbacks": fell & right[:, 0] & (last < first),
            "rejected_right": lost.any(axis=1),
            "unanswered": played.model[0] == SHED,
            "timeouts": (rejected & late).sum(axis=1),
            "refusals": refused.sum(axis=1),
            "invalid": (rejected & ~late & (verdict == INVALID)).sum(axis=1),
            "false_refusals": (refused & right).sum(axis=1),
            "wasted_usd": np.where(wasted, cost, 0.0).sum(axis=1),
        }
    )


def chain_report(calls: pd.DataFrame) -> dict[str, object]:
    """Return means and counts of what :func:`chain_calls` gave; NaN where some latency is not recorded."""
    means = {name: calls[name].mean(skipna=False) for name in calls if name.startswith("mean")}
    sums = {name: calls[name].sum() for name in calls if name not in means}
    share = calls["wasted_usd"].sum() / max(calls["mean_cost"].sum(), 1e-12)
    return {"n": len(calls), **means, **sums, "wasted_share": share}


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
    """Report what the rule router and the fallback chain do on recorded outcomes.

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
    inputs: dict[str, str | Path] = {"data": data}
    if latency_log is not None:
        log, inputs["latency_log"] = read_latency_log(latency_log, table.model, "impute"), latency_log
        place = pd.Index(log.qid.astype(str)).get_indexer(table.qid.astype(str))
        table = table.with_latency(np.where((place >= 0)[:, None], log.latency_s[place], np.nan))
    split = split_queries([str(q) for q in table.qid], [str(d) for d in table.domain], tuple(ood_holdout))
    world = Recorded.of(table, split.train, split.test)
    limits: dict[str, Any] = {
        "max_cost_per_task_usd": max_cost_per_task_usd,
        "max_latency_per_call_s": max_latency_per_call_s,
        "max_tokens_per_task": max_tokens_per_task,
    }
    timeouts = {"first_timeout_s": first_timeout_s, "timeout_s": timeout_s}
    family = table.family[split.test].astype(str)
    router = ChainRouter(**timeouts)
    calls = chain_calls(world, router)
    parts = [("all", calls), *calls.groupby(family)]
    tables = {
        "class_mix": class_mix(list(table.prompt[split.test]), list(family)),
        "rules": rules_by_class(world, RulesRouter(**limits)),
        "chain": pd.DataFrame([{"family": name, **chain_report(part)} for name, part in parts]),
    }
    names = [table.model[m] for m in router.chain_]
    for stem, frame in tables.items():
        text = frame.to_csv(index=False, float_format="%.9g", lineterminator="\n")
        files.write_text(results_dir / f"{stem}.csv", text)
    config = {**limits, **timeouts, "chain": names}
    about = manifest.build("replay_systems", config, inputs, n_train=len(split.train), n_test=len(split.test))
    files.write_json(results_dir / "manifest.json", about)
    with pd.option_context("display.width", 200, "display.max_columns", 30, "display.precision", 4):
        print(f"chain: {' -> '.join(names)}\n")
        print(tables["class_mix"].to_string(index=False), tables["rules"].to_string(index=False), sep="\n\n")
        print(f"\n{tables['chain'][list(_SHOWN)].to_string(index=False)}\nwrote {results_dir}")
    return 0
