"""The rule table and its limits."""

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
    ("task", "expected"),
    [
        # The rule table and the examples.
        ("Write a fibonacci function", "moderate"),
        ("Audit production deployment for security vulnerabilities", "critical"),
        ("Deploy to production", "critical"),
        ("Research and compare", "complex"),
        ("Summarize", "simple"),
        *((w, "critical") for w in ("deploy", "production", "delete", "admin", "payment", "credential")),
        *((w, "complex") for w in ("research", "analyze", "compare", "design", "architect")),
        *((w, "complex") for w in ("security", "audit")),
        *((w, "simple") for w in ("summarize", "translate", "hello", "define", "explain")),
        ("Explain the audit", "complex"),
        ("Explain the payment", "critical"),
        (LONG, "moderate"),
        ("x" * 100, "simple"),
        ("Fix my code", "moderate"),
        ("Explain " + LONG, "simple"),
        # Punctuation, inflection, phrases, words within words.
        ("Deploy!", "critical"),
        ("(delete) it", "critical"),
        ("She analyzes deployments", "critical"),
        ("He analyzes markets", "complex"),
        ("The deployment failed", "critical"),
        ("What is a vector? " + LONG, "simple"),
        ("the secret to a happy life", "simple"),
        ("Rotate the client secret", "critical"),
        ("Who leaked our API secrets?", "critical"),
        ("Reveal the secret of cooking", "simple"),
        ("encode this", "simple"),
        ("a family dysfunction", "simple"),
        ("Two functions", "moderate"),
    ],
)  # fmt: skip
def test_the_class_table(task: str, expected: str) -> None:
    assert classify(task) == expected


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
    ledger = TaskLedger()
    spent = 0.0
    for expected in ("cloud:middle", "cloud:middle", "ollama:small"):
        decision = rules.decide("Audit it", ledger)
        assert decision.model == expected
        ledger.book(decision.estimated_cost_usd, decision.estimated_tokens)
        ledger.settle(decision.estimated_cost_usd, decision.estimated_tokens, decision.estimated_cost_usd, 600)
        spent += decision.estimated_cost_usd
    assert spent <= 0.003 and ledger.total_usd == pytest.approx(spent)


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
    return rules.decisions


def test_the_ledger_is_exact_in_nano_dollars() -> None:
    ledger, policy = TaskLedger(), RulePolicy(max_cost_per_task_usd=1.0)
    for _ in range(10):
        assert not policy.broken(0.1, 1.0, 1, ledger)["budget"]
        ledger.book(0.1, 1)
    assert policy.broken(1e-9, 1.0, 1, ledger)["budget"] and not policy.broken(0.0, 1.0, 1, ledger)["budget"]


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
        ("model: []", "expected policy"),
        ("models: [{spec: a, price: 3}]", "unknown key 'price'"),
        ("policy: {local_model: b}\nmodels: [{spec: a}]", "local_model 'b' is not one of the models a"),
        ("models: [{is_local: true}]", "lacks spec"),
        ("models: [{spec: a, avg_latency_s: -1}]", "at least 0"),
        ("policy: {prefer_local: 3}\nmodels: [{spec: a}]", "prefer_local: expected true or false, got '3'"),
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


def test_the_named_models_come_first_and_the_fallback_second() -> None:
    other = replace(LOCAL, spec="ollama:other", cost_per_1k_tokens=0.0001)
    options = (LOCAL, other, MIDDLE, CLOUD)

    def order(task_class: str, **policy: str) -> list[str]:
        return [option.spec for option in RuleEngine(RulePolicy(**policy), options).preference(task_class)]

    assert order("moderate", local_model="ollama:other")[:2] == ["ollama:other", "ollama:small"]
    assert order("simple", local_model="ollama:other")[:2] == ["ollama:small", "ollama:other"], "the smallest of all"
    assert order("critical", cloud_model="cloud:large")[:2] == ["cloud:large", "cloud:middle"]
    assert order("critical")[:2] == ["cloud:middle", "cloud:large"]
    assert order("simple", fallback_model="cloud:large")[:2] == ["ollama:small", "cloud:large"]
    closed = RulePolicy(fallback_model="cloud:large", allow_cloud_fallback=False)
    assert all(one.is_local for one in RuleEngine(closed, options).preference("critical")), "the cloud stays closed"


@settings(deadline=None, max_examples=200)
@given(st.permutations(["l1", "l2", "c1", "c2"]), st.sampled_from(CLASSES), st.booleans(), st.booleans())
def test_every_allowed_model_stands_in_the_order_once(
    names: list[str], task_class: str, prefer: bool, cloud: bool
) -> None:
    options = [ModelOption(f"x:{name}", name.startswith("l"), i / 10) for i, name in enumerate(names)]
    policy = RulePolicy(prefer, 0.1, 30.0, 10_000, cloud, "x:l2", "x:c2", "x:c1")
    order = [option.spec for option in RuleEngine(policy, options).preference(task_class)]
    assert sorted(order) == sorted(one.spec for one in options if cloud or one.is_local)
    if cloud and order[0] != "x:c1":
        assert order[1] == "x:c1"


def test_costs_are_recorded_until_the_budget_is_reset() -> None:
    rules = RuleEngine(RulePolicy(max_cost_per_task_usd=0.002))
    assert [option.spec for option in rules.options] == [rules.policy.local_model, rules.policy.cloud_model]
    assert rules.decide("Audit it").model == rules.policy.cloud_model
    for _ in range(10):
        rules.record_cost(0.0005)
    assert rules.total_cost == pytest.approx(0.005)
    over = rules.decide("Audit it")
    assert (over.model, over.reason) == (rules.policy.local_model, "budget_exceeded: forced local")
    rules.reset_budget()
    assert rules.total_cost == 0 and rules.decide("Audit it").model == rules.policy.cloud_model
    assert [one.task_class for one in rules.decisions] == ["complex"] * 3
    assert ModelOption("x").is_local and ModelOption("x").max_context == 32_768


def test_a_file_may_leave_the_models_out_or_say_where_they_run(tmp_path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("policy: {local_model: 'ollama:a', cloud_model: 'openai:b'}")
    assert [option.spec for option in load_rules(path).options] == ["ollama:a", "openai:b"]
    path.write_text("models: [{spec: 'ollama:a'}, {spec: 'openai:b'}, {spec: 'vllm:c', is_local: true}]")
    assert [option.is_local for option in load_rules(path).options] == [True, False, True]
