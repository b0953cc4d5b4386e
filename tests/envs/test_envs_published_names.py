"""What users of the published systems expect to find: keywords, keys, variables, lines, and what the prompt tells."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dacr.core.errors import UserError
from dacr.envs import LLMRouterEnv, ModelConfig, RewardConfig
from dacr.envs.game import Note
from dacr.envs.play import play, start_line, step_line
from dacr.envs.policies.llm import Settings
from dacr.envs.policies.llm_prompt import rules
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import BASE, scenario

Script = Callable[..., "subprocess.CompletedProcess[str]"]
TWO = [ModelConfig("small", 0.001, 0.3, 0.0, 0.7), ModelConfig("large", 0.03, 2.0, 0.0, 0.9)]


def test_the_fleet_takes_the_published_keywords() -> None:
    reward = RewardConfig(cost_weight=2.0, quality_weight=1.0, latency_penalty=0.5, sla_threshold=1.5)
    env = LLMRouterEnv(
        models=TWO, reward_config=reward, episode_length=7, budget=3.0, max_queue_depth=10, quality_miss_penalty=4.0,
        quality_required=True, seed=5,
    )  # fmt: skip
    assert (env.episode_length, env.budget) == (7, 3.0)
    env.reset()
    _, gained, _, _, info = env.step(1)
    expected = info["quality"] - 2 * 0.03 - 0.5 * 0.5 - 4 * max(0.0, info["quality_required"] - info["quality"])
    assert gained == pytest.approx(expected)


def test_the_seed_keyword_is_that_of_the_first_episode() -> None:
    one, two, other = (LLMRouterEnv(seed=seed).reset()[0] for seed in (3, 3, 4))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert np.array_equal(one, LLMRouterEnv().reset(seed=3)[0])


def test_the_required_quality_is_told_where_the_option_is_on() -> None:
    env = gym.make("LLMRouter-v0", quality_required=True)
    seen, _ = env.reset(seed=0)
    assert env.step(0)[4]["quality_required"] == pytest.approx(float(seen[-1]), abs=1e-6)
    plain = gym.make("LLMRouter-v0")
    plain.reset(seed=0)
    assert "quality_required" not in plain.step(0)[4]
    many = gym.make_vec("LLMRouter-v0", 3, vectorization_mode="vector_entry_point", quality_required=True)
    seen, _ = many.reset(seed=0)
    assert np.allclose(many.step(np.array([0, 1, 2]))[4]["quality_required"], seen[:, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("env_id", "how", "words"),
    [
        ("LLMRouter-v0", {"budgte": 5.0}, "no setting 'budgte'; did you mean 'budget'"),
        ("LLMRouter-v0", {"data": "long.parquet", "queue_latency": 4.0}, "no setting 'queue_latency'"),
        ("BudgetRouter-v0", {"scenaro": "easy"}, "no setting 'scenaro'; did you mean 'scenario'"),
        ("BudgetRouter-v0", {"money": "gold"}, "'float' or 'exact'"),
        ("LLMRouter-v0", {"budget": float("nan")}, "budget: expected a number above 0"),
        ("LLMRouter-v0", {"budget": float("inf")}, "budget: expected a number above 0, got inf"),
        ("LLMRouter-v0", {"max_queue_depth": float("nan")}, "max_queue_depth: expected a number above 0"),
        ("LLMRouter-v0", {"queue_latency": float("nan")}, "queue_latency: expected a number of at least 0"),
        ("LLMRouter-v0", {"models": []}, "at least one model"),
        ("LLMRouter-v0", {"models": ["large"]}, "expected a ModelConfig, got 'large'"),
        ("LLMRouter-v0", {"reward_config": {"cost_weight": 1.0}}, "expected a RewardConfig, got {"),
        ("LLMRouter-v0", {"episode_length": "9"}, "episode_length: expected a whole number of at least 1, got '9'"),
        ("LLMRouter-v0", {"queue_latency": True}, "queue_latency: expected a number of at least 0, got True"),
    ],
)
def test_a_wrong_keyword_or_number_is_one_clear_line(env_id: str, how: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        gym.make(env_id, **how)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["cost_per_call", "latency_mean", "latency_std", "quality_score"])
@pytest.mark.parametrize("value", [float("nan"), -0.1, float("inf"), "0.1", True, None])
def test_a_model_or_reward_that_cannot_be(name: str, value: Any) -> None:
    right = {"cost_per_call": 0.1, "latency_mean": 0.1, "latency_std": 0.1, "quality_score": 0.1}
    with pytest.raises(UserError, match=f"{name}: expected"):
        ModelConfig("m", **{**right, name: value})
    with pytest.raises(UserError, match="expected a number, got"):
        RewardConfig(cost_weight=float("nan"))
    with pytest.raises(UserError, match="expected a number, got"):
        RewardConfig(sla_threshold="1")  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [-1, 5, 99, 1.5, 1.0, "1", None])
def test_an_action_that_is_none_is_refused_before_anything_moves(action: object) -> None:
    env = gym.make("LLMRouter-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"action {action!r} is not one of 0\.\.4"):
        env.step(action)
    assert env.unwrapped.game.left_usd[0] == 10.0  # type: ignore[attr-defined]
    if isinstance(action, int):
        many = gym.make_vec("LLMRouter-v0", 2, vectorization_mode="vector_entry_point")
        many.reset(seed=0)
        with pytest.raises(ValueError, match=rf"action {action} is not"):
            many.step(np.array([0, action]))
    budget = gym.make("BudgetRouter-v0")
    budget.reset(seed=0)
    with pytest.raises(ValueError, match=r"is not one of 0\.\.3"):
        budget.step(action)


def test_the_budget_router_tells_the_cost() -> None:
    env = gym.make("BudgetRouter-v0", scenario="easy")
    env.reset(seed=0)
    assert env.step(2)[4]["cost"] == 0.10
    assert env.step(3)[4]["cost"] == 0.0


def test_the_success_rate_is_over_routed_steps_alone() -> None:
    chosen = scenario("easy")
    played = play(chosen, make_policy("heuristic", chosen), 105)
    assert sum(not step.routed for step in played.steps) == 9
    assert round(played.summary()["success_rate"], 4) == 0.8182


def test_latencies_are_graded_to_two_digits() -> None:
    chosen = scenario("hard")
    for seed in range(5):
        steps = play(chosen, make_policy("heuristic", chosen), seed).steps
        assert all(step.latency_ms == round(step.latency_ms, 2) for step in steps)


def test_the_keys_of_an_episode_and_of_a_step() -> None:
    chosen = scenario("hard_multi")
    record = play(chosen, make_policy("heuristic", chosen), 0).record()
    assert {
        "total_reward", "success_rate", "total_cost_spent", "average_latency_ms", "sla_met", "queue_overflow_events",
        "grader_score", "grader_breakdown",
    } <= set(record)  # fmt: skip
    assert set(record["grader_breakdown"]) == {"success", "latency", "budget", "sla", "adaptation"}
    assert record["total_cost_spent"] == pytest.approx(1.06) and record["grader_score"] == 0.5569
    first, last = record["trace"][0], record["trace"][-1]
    assert {
        "step", "action_type", "request_succeeded", "cost", "latency_ms", "reward", "provider", "queue_overflow",
        "budget_exhausted", "provider_a_status", "provider_b_status", "provider_c_status",
    } <= set(first)  # fmt: skip
    assert (first["provider"], first["action_type"], first["provider_a_status"]) == ("A", "route_to_a", 0.5)
    assert (last["provider"], last["action_type"], last["cost"]) == (None, "shed_load", 0.0)
    json.dumps(record)


def test_a_queue_without_room_overflows_and_an_exhausted_budget_is_marked() -> None:
    chosen = scenario("hard")
    broke = play(chosen, make_policy("always_c", chosen), 0).record()
    assert broke["bankrupt"] and [step["budget_exhausted"] for step in broke["trace"]].count(True) == 1
    crowded = play(chosen, make_policy("always_a", chosen), 0).record()
    assert crowded["queue_overflow_events"] == sum(step["queue_overflow"] for step in crowded["trace"]) > 3


def test_the_lines_have_the_name_of_the_benchmark_and_the_answer_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = scenario("easy")
    step = play(chosen, make_policy("always_b", chosen), 0).steps[0]
    plain = step_line(chosen, step, Note(None, "route_to_b"), False)
    assert plain == "[STEP] step=1 action=route_to_b reward=0.75 done=false error=null"
    told = step_line(chosen, step, Note(None, 'route_to_b "x"'), False, 12)
    assert told == plain + ' llm_raw="route_to_b \\"" llm_parsed=route_to_b'
    monkeypatch.setenv("BENCHMARK_NAME", "my bench")
    assert start_line(chosen, "m") == "[START] task=easy env=my_bench model=m"


def test_answers_are_logged_when_the_environment_says_so(stage: Script) -> None:
    flags = ("--scenario", "easy", "--max-seeds", 1, "--policy", "always_b", "--seed-set", "heldout")
    assert "llm_raw" not in stage("play_budget.py", *flags).stdout
    assert stage("play_budget.py", *flags, LLM_LOG_RAW="1").stdout.count("llm_raw=null llm_parsed=route_to_b") >= 18
    wrong = stage("play_budget.py", *flags, LLM_LOG_RAW="1", LLM_LOG_RAW_MAX_CHARS="many")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: LLM_LOG_RAW_MAX_CHARS should be a whole number")


def test_the_modes_of_the_prompt() -> None:
    base = {"API_BASE_URL": "http://localhost/v1", "MODEL_NAME": "m"}
    assert Settings.from_environment(environ=base).mode == "baseline"
    for mode in ("baseline", "objective_feedback"):
        assert Settings.from_environment(environ={**base, "LLM_POLICY_MODE": mode}).mode == mode
    with pytest.raises(UserError, match="baseline or objective_feedback"):
        Settings.from_environment(environ={**base, "LLM_POLICY_MODE": "observation"})


@pytest.mark.parametrize("name", BASE)
def test_the_prompt_tells_what_the_published_one_did(name: str) -> None:
    text = rules(scenario(name).brief())
    for part in (
        f"Task: {name}.", "0.01 USD", "0.05 USD", "0.10 USD", "0.500 means", "unobserved", "Valid actions: route_to_a",
        "-10", "noise", "real decline", "Only then move", "runway", "15 %", "C is off limits", "A and B are below 0.30",
        "This run:",
    ):  # fmt: skip
        assert part in text, part
    assert "Objective" not in text
    told = rules(scenario(name).brief(), objective=True)
    assert told.startswith(text)
    assert all(word in told for word in ("successes", "latency", "500 ms", "budget", "early", "middle", "late"))


def test_profiles_and_strategies_differ_by_scenario() -> None:
    assert len({rules(scenario(name).brief(), objective=True).split("This run:")[1] for name in BASE}) == len(BASE)
