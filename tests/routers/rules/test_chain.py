"""The fallback chain in replay: forms of answers, timeouts, and what is paid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dacr.core.errors import UserError
from dacr.core.rng import keys_of
from dacr.data.table import RoutingTable, load
from dacr.experiment.systems import (
    Recorded,
    chain_calls,
    chain_report,
    class_mix,
    replay_systems,
    rules_by_class,
    without_template,
)  # fmt: skip
from dacr.replay.static import play_static
from dacr.routers.rules.answers import GOOD, INVALID, REFUSAL, answer_outcomes, has_python
from dacr.routers.rules.chain import PUBLISHED, ChainRouter, chain_of
from dacr.routers.rules.router import RulesRouter
from dacr.routers.texts import hand_over
from dacr.types import Estimates, Outcomes, Runs, Training


@pytest.mark.parametrize(
    ("domain", "text", "verdict"),
    [
        ("mmlu-law", "B", GOOD),
        ("mmlu-law", "\nC) because", GOOD),
        ("arc-challenge", "The answer is D.", GOOD),
        ("hellaswag", "A)", GOOD),
        ("hellaswag", "A", GOOD),
        ("winogrande", "Matthew", INVALID),
        ("winogrande", "A man walks in", INVALID),
        ("mmlu-law", "I do", INVALID),
        ("mmlu-law", "I can’t say.", REFUSAL),
        ("mmlu-law", "", REFUSAL),
        ("grade-school-math", "It is 12.", GOOD),
        ("grade-school-math", "many", INVALID),
        ("grade-school-math", "I don't know, but 12", GOOD),
        ("mbpp", "Sure!\n```python\ndef f(x):\n    return x\n```\nDone.", GOOD),
        ("mbpp", "[PYTHON]\ndef f(x):\n    return x\n[/PYTHON]", GOOD),
        ("mbpp", "Here it is:\ndef f(x):\n    return x", GOOD),
        ("mbpp", "```python\ndef f(x:\n```", INVALID),
        ("mbpp", "I would sort the list", INVALID),
        ("mbpp", "I'm unable to write code.", REFUSAL),
        ("mtbench", "It was an AI winter.", GOOD),
        ("mtbench", "I won't.", REFUSAL),
    ],
)
def test_verdicts(domain: str, text: str, verdict: int) -> None:
    assert answer_outcomes(pa.array([text], pa.large_string()), [domain], 1).tolist() == [[verdict]]


def test_odd_python_breaks_nothing() -> None:
    assert has_python("```python\nx = '\\d'\n```")
    assert not has_python("\0def") and not has_python("(" * 5000)


def test_the_published_chain_or_the_benchmarks_own() -> None:
    names = ("x", *PUBLISHED)
    assert chain_of(names, np.ones(4), np.ones(4)).tolist() == [1, 2, 3]
    own = chain_of(("a", "b", "c", "d"), np.array([4.0, 1.0, 2.0, 3.0]), np.array([0.9, 0.1, 0.2, 0.3]))
    assert own.tolist() == [1, 2, 0]
    assert chain_of(("a", "b"), np.array([1.0, 2.0]), np.array([0.9, 0.1])).tolist() == [0]


def problem(responses: list[list[str]], latency: list[list[float]]) -> tuple[ChainRouter, Estimates, Outcomes]:
    """Three models a < b < c by cost; quality rises with it."""
    n = len(responses)
    shape = (n, 3)
    cost = np.tile([1.0, 10.0, 100.0], (n, 1))
    quality = np.tile([0.2, 0.5, 1.0], (n, 1))
    requests = Estimates(
        key=keys_of([f"q{i}" for i in range(n)]),
        features=np.zeros((n, 1), dtype=np.float32),
        domain=np.zeros(n, dtype=np.int64),
        p_raw=quality,
        p=quality,
        cost_hat=cost,
        cost_upper=cost,
        p_late=np.zeros(shape),
        arrival_s=np.arange(n, dtype=float),
        models=("a", "b", "c"),
        domains=("mmlu-law",),
    )
    taken = np.array(latency)
    truth = Outcomes(quality, cost, taken, taken > 5, None)
    router = ChainRouter().fit(Training(requests, truth, 5.0))
    flat = pa.array([text for row in responses for text in row], pa.large_string())
    axes = (np.array([text] * n, dtype=object) for text in ("", "", "mmlu-law"))
    table = RoutingTable(*axes, ("a", "b", "c"), quality, cost, taken, flat)
    hand_over(router, requests.key, table.domain, table, np.arange(n))
    return router, requests, truth


def test_every_attempt_is_paid_and_a_chain_that_ends_gives_no_answer() -> None:
    responses = [["B", "C", "D"], ["hm", "C", "D"], ["hm", "I won't", "D"], ["hm", "hm", "hm"], ["B", "C", "D"]]
    latency = [[1.0, 2.0, 3.0]] * 4 + [[9.0, 31.0, 3.0]]
    router, requests, truth = problem(responses, latency)
    played = play_static(router, requests, truth, Runs(np.arange(5)[None], requests.arrival_s, (1,)))
    assert played.model[0].tolist() == [0, 1, 2, -1, 2]
    assert played.attempts[0].tolist() == [1, 2, 3, 3, 3]
    assert played.cost_usd[0].tolist() == [1.0, 11.0, 111.0, 111.0, 111.0]
    assert played.quality[0].tolist() == [0.2, 0.5, 1.0, 0.0, 1.0]


@pytest.fixture
def table(tmp_path, tiny_long: pd.DataFrame):
    """Models cheap, mid, strong; the domains mbpp, mmlu-law, winogrande, two queries each."""
    answers = {
        ("q0", "cheap"): "I won't", ("q0", "mid"): "hm", ("q0", "strong"): "x = 1",
        ("q1", "cheap"): "no code", ("q1", "mid"): "x = 1", ("q1", "strong"): "x = 1",
    }  # fmt: skip
    frame = tiny_long.copy()
    frame["response"] = [answers.get((q, m), "B") for q, m in zip(frame["qid"], frame["model"], strict=True)]
    frame.to_parquet(tmp_path / "long.parquet")
    return load(tmp_path / "long.parquet")


def reported(table: RoutingTable) -> dict[str, object]:
    """Play all six queries; the chain is cheap, mid, strong."""
    world, router = Recorded.of(table, np.arange(6), np.arange(6)), ChainRouter()
    told = chain_report(chain_calls(world, router))
    assert router.chain_.tolist() == [0, 1, 2]
    return told


def test_the_report_by_hand(table) -> None:
    # Quality of cheap, mid, strong: q0 1 0 1, q1 .5 0 1, q2 0 0 1, q3 1 1 1, q4 0 .25 0, q5 1 0 0.
    told = reported(table)
    expected = {
        "fallbacks": 2, "refusals": 1, "invalid": 2, "false_refusals": 1, "unanswered": 0,
        "useful_fallbacks": 0, "harmful_fallbacks": 1, "rejected_right": 2, "timeouts": 0,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert told["mean_quality"] == pytest.approx((1 + 0 + 0 + 1 + 0 + 1) / 6)
    cheap, mid, strong = 1e-5, 1e-4, 1e-2
    assert told["mean_cost"] == pytest.approx((cheap * 21 + mid * (1 + 2) + strong) / 6)
    assert told["wasted_usd"] == pytest.approx(mid * (1 + 2) + strong)
    assert np.isnan(told["mean_latency_s"])
    # 20 s are too long for the first model alone: six calls of it, six of the second, one of the third.
    slow = table.with_latency(np.full((6, 3), 20.0))
    told = reported(slow)
    assert told["timeouts"] == 6 and told["mean_latency_s"] == pytest.approx(20 * 13 / 6)


def test_a_report_without_responses_is_refused(table) -> None:
    with pytest.raises(UserError, match="no responses"):
        reported(replace(table, response=None))


def test_class_mix_with_and_without_the_template() -> None:
    preface = "Question: What is 1+1?\nAnswer: 2\n\n"
    end = "\nExplain your choice, then print only a single letter."
    prompts = [f"{preface}Question: What colour has moss {i}?\nA) red {i}{end}" for i in range(10)]
    assert without_template(prompts, ["d"] * 10)[3] == "Question: What colour has moss 3?\nA) red 3"
    mix = class_mix(prompts, ["d"] * 10).set_index("text")
    assert mix.loc["prompt", "simple"] == mix.loc["bare", "simple"] == 1.0


def test_rules_on_a_table_break_no_limit_on_estimates(table) -> None:
    world = Recorded.of(table, np.arange(6), np.arange(6))
    for cap in (1.0, 1e-3, 0.0):
        frame = rules_by_class(world, RulesRouter(max_cost_per_task_usd=cap)).set_index("task_class")
        assert frame.loc["all", "violations"] == 0 and frame.loc["all", "n"] == 6
    assert frame.loc["all", "refused"] == 6


def test_rules_are_forced_by_a_limit_and_say_so(table) -> None:
    """Of hard tasks the preferred model is the best; where it may not be called, the next is, and that is counted."""
    hard = replace(table, prompt=np.array(["Audit it"] * 3 + ["hello"] * 3, dtype=object))
    world = Recorded.of(hard, np.arange(6), np.arange(6))
    free = rules_by_class(world, RulesRouter(max_cost_per_task_usd=1.0)).set_index("task_class")
    assert free.loc["all", "forced"] == 0 and free.loc["critical" if "critical" in free.index else "complex", "n"] == 3
    tight = rules_by_class(world, RulesRouter(max_cost_per_task_usd=1e-4)).set_index("task_class")
    assert tight.loc["all", "forced"] == tight.loc["complex", "forced"] == 3 and tight.loc["all", "refused"] == 0
    assert tight.loc["complex", "mean_cost"] < free.loc["complex", "mean_cost"]


def test_the_stage_writes_the_same_bytes_twice(tmp_path, table, capsys) -> None:
    first = []
    for _ in range(2):
        replay_systems(data=tmp_path / "long.parquet", results_dir=tmp_path / "out", ood_holdout=("mbpp",))
        first.append([(tmp_path / "out" / f"{stem}.csv").read_bytes() for stem in ("class_mix", "rules", "chain")])
    assert first[0] == first[1]
    assert "harmful_fallbacks" in capsys.readouterr().out
