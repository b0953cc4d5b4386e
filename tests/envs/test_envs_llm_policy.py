"""The LLM policy against a real server that also answers nonsense, times out and fails."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dacr.core.errors import UserError
from dacr.envs.play import PlayedEpisode, play
from dacr.envs.policies.llm import LLMPolicy, Settings
from dacr.envs.policies.llm_prompt import Last, Reading, message, parse, reading, rules
from dacr.envs.scenarios import names, scenario

_PATH = Path(__file__).parent.parent / "live" / "fault_server.py"
_SPEC = importlib.util.spec_from_file_location("fault_server_for_envs", _PATH)
assert _SPEC and _SPEC.loader
fault_server = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fault_server)

KEY = "sesame-open-0123456789"
BRIEF = scenario("hard_multi").brief()


def settings_for(url: str, **more: str) -> Settings:
    return Settings.from_environment(environ={"API_BASE_URL": url, "MODEL_NAME": "m", "API_KEY": KEY, **more})


def played_with(answers: Callable[[int], Any], name: str = "hard_multi", **more: str) -> tuple[PlayedEpisode, Any]:
    """Play one episode against a server whose nth request gets ``answers(n)``: a text, or what to do."""
    count = iter(range(10_000))

    def plan(model: str, prompt: str, nth: int) -> Any:
        step = answers(next(count))
        return {"text": step} if isinstance(step, str) else step

    with fault_server.FaultServer(plan).running() as server:
        chosen = scenario(name)
        policy = LLMPolicy(chosen.brief(), settings_for(server.url, **more))
        try:
            return play(chosen, policy, 0), server
        finally:
            policy.close()


def test_a_sound_llm_routes() -> None:
    played, server = played_with(lambda n: "route_to_b" if n < 5 else "I choose route_to_a now.")
    assert [step.action for step in played.steps] == [1] * 5 + [0] * 15
    assert all(note.error is None for note in played.notes)
    body = server.requests[0]
    assert body["temperature"] == 0.0 and body["max_tokens"] == 30 and body["model"] == "m"


def test_one_growing_conversation_per_episode() -> None:
    _, server = played_with(lambda n: "route_to_a")
    sizes = [len(body["messages"]) for body in server.requests]
    assert sizes == [2 + 2 * i for i in range(20)]
    last = server.requests[-1]["messages"]
    assert [m["role"] for m in last] == ["system"] + ["user", "assistant"] * 19 + ["user"]
    assert last[2]["content"] == "route_to_a"


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"text": "route_to_a or route_to_b?"}, "no single action"),
        ({"text": "\u2603" * 500}, "no single action"),
        ({"text": ""}, "no single action"),
        ({"fault": "server_error"}, "server_error"),
        ({"fault": "rate_limit"}, "rate_limit"),
        ({"fault": "auth", "echo": KEY}, "auth"),
        ({"fault": "bad_request"}, "bad_request"),
        ({"fault": "reset"}, "connection"),
        ({"fault": "truncated"}, "truncated"),
        ({"fault": "cut_body"}, "truncated"),
        ({"fault": "redirect"}, ""),
    ],
)
def test_faults_shed_say_why_and_end_nothing(fault: dict[str, str], word: str) -> None:
    played, server = played_with(lambda n: fault if n < 6 else "route_to_a", LLM_MAX_RETRIES="0")
    assert len(played.steps) == 20
    assert [step.action for step in played.steps] == [3] * 6 + [0] * 14
    assert all(note.error and word in note.error for note in played.notes[:6])
    assert all(note.error is None for note in played.notes[6:])
    assert not any(KEY in (note.error or "") for note in played.notes)
    assert len(server.requests) == 20


def test_a_hanging_server_times_out_and_sheds() -> None:
    step = {"fault": "hang"}
    played, _ = played_with(lambda n: step if n < 2 else "route_to_c", LLM_TIMEOUT_SECONDS="0.2", LLM_MAX_RETRIES="0")
    assert [note.error is not None and "timeout" in note.error for note in played.notes[:3]] == [
        True,
        True,
        False,
    ]
    assert [step.action for step in played.steps[:3]] == [3, 3, 2]


def test_one_retry_after_a_server_error() -> None:
    played, server = played_with(lambda n: {"fault": "server_error"} if n == 0 else "route_to_a")
    assert played.steps[0].action == 0 and played.notes[0].error is None
    assert len(server.requests) == 21


def test_no_server_at_all() -> None:
    policy = LLMPolicy(BRIEF, settings_for("http://127.0.0.1:9/v1"))
    played = play(scenario("hard_multi"), policy, 0)
    policy.close()
    assert all(step.action == 3 for step in played.steps)
    assert all(note.error and "connection" in note.error for note in played.notes)


def test_the_guard_keeps_the_last_of_the_money() -> None:
    played, _ = played_with(lambda n: "route_to_c", "hard")
    assert not played.bankrupt
    assert [step.action for step in played.steps] == [2] * 8 + [3] * 12
    assert played.notes[8].error is not None and "guard" in played.notes[8].error


def test_objective_feedback_tells_the_last_step() -> None:
    _, server = played_with(lambda n: "route_to_a", LLM_POLICY_MODE="objective_feedback")
    first, second = (body["messages"][-1]["content"] for body in server.requests[:2])
    assert "last step" not in first
    assert "last step: route_to_a, success, cost 0.01 USD, 66 ms, reward 0.95" in second
    _, server = played_with(lambda n: "route_to_a")
    assert "last step" not in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("route_to_a", 0),
        ("  `SHED_LOAD`.\n", 3),
        ("I would go with route_to_b because A declines", 1),
        ("route_to_b. Yes: route_to_b", 1),
        ("not route_to_a, route_to_b", None),
        ("route_to_ab", None),
        ("route to a", None),
        ("<think>route_to_a looks bad</think>route_to_c", 2),
        ("", None),
    ],
)
def test_the_parser(text: str, action: int | None) -> None:
    assert parse(BRIEF, text) == action


def test_trend_and_runway() -> None:
    def at(status: float, left: float, step: int) -> Reading:
        return reading(BRIEF, (status, 0.5, 0.5, left / 1.1, 0.0, 0.2, step / 20))

    history = [at(1.0, 1.1, 0)]
    assert "trend: none yet" in message(BRIEF, history)
    assert "more than 20 calls" in message(BRIEF, history) and "steps remaining: 20" in message(BRIEF, history)
    history.append(at(0.5, 1.0, 1))
    text = message(BRIEF, history)
    assert "A -0.50" in text and "noisy" in text and "lasts for 10 calls" in text and "steps remaining: 19" in text
    history.append(at(0.0, 1.0, 2))
    text = message(BRIEF, history)
    assert "A -0.50" in text and "noisy" not in text and "more than 20 calls" in text
    told = message(BRIEF, history, Last(1, 0.0, 0.05, 0.5123, -2.27))
    assert "last step: route_to_b, no success, cost 0.05 USD, 512 ms, reward -2.27" in told


@pytest.mark.parametrize("name", names())
def test_the_rules_tell_prices_and_nothing_hidden(name: str) -> None:
    text = rules(scenario(name).brief())
    assert all(price in text for price in ("0.01 USD", "0.05 USD", "0.10 USD")) and "shed_load" in text
    assert not any(secret in text for secret in ("0.85", "0.92", "0.99", "onset"))


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "API_BASE_URL"),
        ({"API_BASE_URL": "https://example.org/v1", "MODEL_NAME": "m"}, "API_KEY or HF_TOKEN"),
        ({"API_BASE_URL": "http://example.org/v1", "MODEL_NAME": "m", "API_KEY": KEY}, "plain http"),
        ({"API_BASE_URL": "http://localhost/v1", "MODEL_NAME": "m", "LLM_POLICY_MODE": "x"}, "LLM_POLICY_MODE"),
        (
            {"API_BASE_URL": "http://localhost/v1", "MODEL_NAME": "m", "LLM_TIMEOUT_SECONDS": "soon"},
            "LLM_TIMEOUT_SECONDS: expected a number above 0, got 'soon'",
        ),
        ({"API_BASE_URL": "http://localhost/v1", "MODEL_NAME": "m", "LLM_MAX_RETRIES": "1.5"}, "whole number"),
        ({"API_BASE_URL": "http://localhost/v1", "MODEL_NAME": "m", "API_KEY": KEY + " x"}, "holds a space"),
    ],
)
def test_settings_that_can_be_mended(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Settings.from_environment(environ=environ)
    assert KEY not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(settings_for("http://localhost/v1"))


def test_the_command_prints_lines_and_writes_json_without_the_key(
    stage: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    plan = lambda model, prompt, nth: {"fault": "auth", "echo": KEY}  # noqa: E731
    with fault_server.FaultServer(plan).running() as server:
        done = stage(
            "play_budget.py", "--policy", "llm", "--scenario", "easy", "--max_seeds", 1, "--show_answers",
            "--output_path", tmp_path / "out.json",
            API_BASE_URL=server.url, MODEL_NAME="my-model", API_KEY=KEY,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[START] task=easy env=budget_router model=my-model"
    assert lines[1].startswith("[STEP] step=1 action=shed_load reward=-0.50 done=false error=auth:")
    assert lines[-1].startswith("[END] success=true steps=20 score=0.150 rewards=-0.50,")
    written = (tmp_path / "out.json").read_text()
    record = json.loads(written)["easy"]
    assert record["policy"] == "llm" and all(step["error"] for step in record["episodes"][0]["trace"])
    assert KEY not in done.stdout + done.stderr + written
