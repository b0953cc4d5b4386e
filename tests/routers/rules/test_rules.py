"""The rule table, its fixes and its legacy switch."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.core.rng import generator, keys_of
from dacr.data.table import RoutingTable
from dacr.routers.rules.classes import CLASSES, classify
from dacr.routers.rules.engine import ModelOption, RuleEngine, RulePolicy, TaskLedger, load_rules
from dacr.routers.rules.router import RulesRouter
from dacr.routers.texts import hand_over
from dacr.types import SHED, Estimates, Outcomes, Training

LOCAL = ModelOption("ollama:small", True, 0.0, 1.0, 8192, ("chat",))
CLOUD = ModelOption("cloud:large", False, 0.01, 5.0, 100_000, ("reasoning", "code"))
MIDDLE = ModelOption("cloud:middle", False, 0.002, 3.0, 100_000, ("code",))
LONG = "x" * 101


@pytest.mark.parametrize(
    ("task", "fixed", "legacy"),
    [
        # The rule table and the examples, alike in both.
        ("Write a fibonacci function", "moderate", "moderate"),
        ("Audit production deployment for security vulnerabilities", "critical", "critical"),
        ("Deploy to production", "critical", "critical"),
        ("Research and compare", "complex", "complex"),
        ("Summarize", "simple", "simple"),
        *((w, "critical", "critical") for w in ("deploy", "production", "delete", "admin", "payment", "credential")),
        *((w, "complex", "complex") for w in ("research", "analyze", "compare", "design", "architect")),
        *((w, "complex", "complex") for w in ("security", "audit")),
        *((w, "simple", "simple") for w in ("summarize", "translate", "hello", "define", "explain")),
        ("Explain the audit", "complex", "complex"),
        ("Explain the payment", "critical", "critical"),
        (LONG, "moderate", "moderate"),
        ("x" * 100, "simple", "simple"),
        ("Fix my code", "moderate", "moderate"),
        ("Explain " + LONG, "simple", "simple"),
        # What the original gets wrong.
        ("Deploy!", "critical", "simple"),
        ("(delete) it", "critical", "simple"),
        ("She analyzes deployments", "critical", "simple"),
        ("He analyzes markets", "complex", "simple"),
        ("The deployment failed", "critical", "simple"),
        ("What is a vector? " + LONG, "simple", "moderate"),
        ("the secret to a happy life", "simple", "critical"),
        ("Rotate the client secret", "critical", "critical"),
        ("Who leaked our API secrets?", "critical", "simple"),
        ("Reveal the secret of cooking", "simple", "critical"),
        ("encode this", "simple", "moderate"),
        ("a family dysfunction", "simple", "moderate"),
        ("Two functions", "moderate", "moderate"),
    ],
)  # fmt: skip
def test_the_class_table(task: str, fixed: str, legacy: str) -> None:
    assert (classify(task), classify(task, legacy=True)) == (fixed, legacy)


def engine(*options: ModelOption, **policy: object) -> RuleEngine:
    return RuleEngine(RulePolicy(fallback_model="", **policy), options or (LOCAL, MIDDLE, CLOUD))


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("Write a fibonacci function", "ollama:small"),
        ("Summarize", "ollama:small"),
        ("Audit production deployment for security vulnerabilities", "cloud:middle"),
        ("Research and compare", "cloud:middle"),
    ],
)
def test_the_smallest_capable_model(task: str, model: str) -> None:
    decision = engine().decide(task)
    assert (decision.model, decision.reason) == (model, f"complexity={decision.task_class}")


def test_legacy_takes_the_first_cloud_model_and_reads_no_limit_but_cost() -> None:
    old = engine(LOCAL, CLOUD, MIDDLE, legacy=True, max_latency_per_call_s=0.1, max_tokens_per_task=1)
    assert old.decide("Research and compare").model == "cloud:large"
    assert old.decide("Summarize").model == "ollama:small"
    dear = engine(LOCAL, CLOUD, legacy=True, max_cost_per_task_usd=0.001)
    assert dear.decide("Research").reason == "budget_exceeded: forced local"


def test_without_cloud_the_capable_local_model_and_without_local_the_cheapest() -> None:
    coder = replace(LOCAL, spec="ollama:coder", cost_per_1k_tokens=0.001, capabilities=("code",))
    assert engine(LOCAL, coder, CLOUD, allow_cloud_fallback=False).decide("Audit it").model == "ollama:coder"
    assert engine(CLOUD, MIDDLE).decide("hello").model == "cloud:middle"
    refused = engine(CLOUD, allow_cloud_fallback=False).decide("hello")
    assert refused.model is None and refused.reason.startswith("refused")


@pytest.mark.parametrize(
    ("policy", "task", "model", "reason"),
    [
        ({"max_cost_per_task_usd": 0.001}, "Audit it", "ollama:small", "budget_exceeded: forced local"),
        ({"max_latency_per_call_s": 2.0}, "Audit it", "ollama:small", "latency_exceeded: forced local"),
        ({"max_latency_per_call_s": 0.5}, "hello", None, "refused: latency_exceeded for every model"),
        ({"max_tokens_per_task": 512}, "hello", None, "refused: tokens_exceeded for every model"),
        ({}, "hello " * 6000, "cloud:middle", "context_exceeded: forced another model"),
    ],
)
def test_limits_hold_before_the_call(policy: dict, task: str, model: str | None, reason: str) -> None:
    decision = engine(**({"max_tokens_per_task": 50_000} | policy)).decide(task)
    assert (decision.model, decision.reason) == (model, reason)


def test_a_task_of_several_calls_has_one_ledger() -> None:
    rules = engine(max_cost_per_task_usd=0.003)
    ledger = rules.ledger()
    spent = 0.0
    for expected in ("cloud:middle", "cloud:middle", "ollama:small"):
        decision = rules.decide("Audit it", ledger)
        assert decision.model == expected
        assert ledger.reserve(decision.estimated_cost_usd, decision.estimated_tokens)
        ledger.settle(decision.estimated_cost_usd, decision.estimated_tokens, decision.estimated_cost_usd, 600)
        spent += decision.estimated_cost_usd
    assert spent <= 0.003 and ledger.overshoot_usd == 0.0


@settings(deadline=None, max_examples=200)
@given(
    st.text(max_size=400),
    st.floats(0, 0.02),
    st.floats(0, 10),
    st.integers(0, 2000),
    st.booleans(),
    st.booleans(),
)
def test_no_decision_breaks_a_limit_on_estimates(
    task: str, cost: float, latency: float, tokens: int, prefer: bool, cloud: bool
) -> None:
    policy = {"prefer_local": prefer, "allow_cloud_fallback": cloud}
    rules = engine(max_cost_per_task_usd=cost, max_latency_per_call_s=latency, max_tokens_per_task=tokens, **policy)
    decision = rules.decide(task)
    assert decision.task_class in CLASSES
    if decision.model is not None:
        assert decision.estimated_cost_usd <= cost + 1e-9
        assert decision.estimated_latency_s <= latency
        assert decision.estimated_tokens <= tokens


def test_the_decision_log_is_the_same_bytes_twice() -> None:
    tasks = ["Deploy!", "Zażółć gęślą", "x" * 200, "Research"]
    logs = ["\n".join(one.line() for one in _decided(tasks)) for _ in range(2)]
    assert logs[0] == logs[1]
    first = json.loads(logs[0].splitlines()[2])
    assert first["task"] == "x" * 80 and "time" not in logs[0]


def _decided(tasks: list[str]) -> list:
    rules = engine()
    for task in tasks:
        rules.decide(task)
    return rules.log


def test_the_ledger_is_exact_in_nano_dollars() -> None:
    ledger = TaskLedger(1.0, 10**6)
    assert all(ledger.reserve(0.1, 1) for _ in range(10))
    assert not ledger.reserve(1e-9, 1)


def test_the_default_rules_are_sound(tmp_path) -> None:
    rules = load_rules("configs/rules.yaml")
    assert rules.policy == RulePolicy()
    assert rules.decide("Deploy to production").model == "openrouter:meta-llama/llama-3.3-70b-instruct"
    started = time.perf_counter()
    for _ in range(1000):
        rules.decide("Write a fibonacci function " * 20)
    print(f"a decision took {time.perf_counter() - started:.3f} ms on average")
    path = tmp_path / "rules.yaml"
    for text, words in [
        ("models: []", "no 'models:'"),
        ("models: [{spec: a, price: 3}]", "unknown keys"),
        ("models: [{is_local: true}]", "lacks 'spec'"),
        ("models: [{spec: a, avg_latency_s: -1}]", "at least 0"),
        ("policy: {prefer_local: 3}\nmodels: [{spec: a}]", "should be a bool"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            load_rules(path)


def training(prices=(1e-4, 1e-3, 1e-2), n: int = 30) -> Training:
    rng = generator("rules test")
    n_model = len(prices)
    shape = (n, n_model)
    cost = np.tile(prices, (n, 1))
    requests = Estimates(
        key=keys_of([f"q{i}" for i in range(n)]),
        features=np.zeros((n, 1), dtype=np.float32),
        domain=np.zeros(n, dtype=np.int64),
        p_raw=np.full(shape, 0.5),
        p=np.full(shape, 0.5),
        cost_hat=cost * rng.uniform(0.5, 2.0, shape),
        cost_upper=cost,
        p_late=np.zeros(shape),
        arrival_s=np.arange(n, dtype=float),
        models=tuple(f"m{k}" for k in range(n_model)),
        domains=("d",),
    )
    quality = np.tile(np.linspace(0.2, 0.8, n_model), (n, 1))
    latency = np.tile(np.linspace(1.0, 9.0, n_model), (n, 1))
    return Training(requests, Outcomes(quality, cost, latency, latency > 5, None), 5.0)


def tell(router: RulesRouter, train: Training, prompts: list[str]) -> None:
    text, domain = (np.array(texts, dtype=object) for texts in (prompts, ["d"] * len(prompts)))
    truth = train.outcomes
    table = RoutingTable(
        text, text, domain, train.requests.models, truth.quality, truth.cost_usd, truth.latency_s, None
    )
    hand_over(router, train.requests.key, domain, table, np.arange(len(prompts)))


def test_in_replay_the_class_decides_and_limits_hold() -> None:
    train = training()
    prompts = ["Audit it", "hello", "x" * 300] * 10
    router = RulesRouter().fit(train)
    tell(router, train, prompts)
    assert router.propose(train.requests, []).tolist() == [1, 0, 0] * 10, "the smallest capable model is the middle one"
    old = RulesRouter(legacy=True).fit(train)
    tell(old, train, prompts)
    assert old.propose(train.requests, [])[:3].tolist() == [2, 0, 0]
    shuffled = train.requests.take(np.arange(30)[::-1])
    assert router.propose(shuffled, []).tolist() == [0, 0, 1] * 10, "texts are looked up by key"
    for limits in ({"max_cost_per_task_usd": 3e-4}, {"max_latency_per_call_s": 2.0}, {"max_tokens_per_task": 520}):
        tight = RulesRouter(**limits).fit(train)
        tell(tight, train, prompts)
        chosen = tight.propose(train.requests, [])
        called = chosen != SHED
        assert tight.allowed(train.requests)[np.flatnonzero(called), chosen[called]].all()
    assert (chosen[2::3] == SHED).all() and (chosen[0::3] == 1).all(), "too many tokens for any model: no call"
    assert (tight.propose(train.requests, [None]) == SHED).all()


def test_requests_without_a_text_are_moderate() -> None:
    train = training()
    router = RulesRouter().fit(train)
    assert (router.classes(train.requests) == CLASSES.index("moderate")).all()
