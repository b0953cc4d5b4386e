"""The stage behind ``scripts/play_budget.py``, and the lines that it prints."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

from dacr.core import files
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin
from dacr.core.values import AtLeast1
from dacr.envs.episode import Step
from dacr.envs.game import Note
from dacr.envs.play import Played, play, summarise
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import BASE, Scenario, seeds_of
from dacr.envs.scenarios import scenario as read_scenario


def play_budget(
    *,
    policy: str = "heuristic",
    seed_set: str = "development",
    scenario: StrList = StrList(("all",)),  # noqa: B008
    max_seeds: AtLeast1 | None = None,
    output_path: str | None = None,
    mode: Literal["faithful", "strict"] = "faithful",
    model_path: str | None = None,
    schedule: str = "",
    llm_mode: Literal["baseline", "objective_feedback"] | None = None,
    show_answers: bool = False,
    plugin: str = "",
) -> None:
    """Play episodes of the budget router with one policy; print each step, write a JSON summary.

    Parameters
    ----------
    policy : str
        heuristic, oracle, random, round_robin, always_a, always_b, always_c, always_shed, open_loop, llm, ppo, or a
        router.
    seed_set : str
        development (0-9), heldout (100-109), fresh (200-209) or heldout_100 (100-199).
    scenario : list
        all (the four published ones), or names: easy, medium, hard, hard_multi, shuffled, flapping, ...
    max_seeds : int, optional
        Only the first ones of the seed set.
    output_path : str, optional
        JSON file to write.
    model_path : str, optional
        For ppo.
    schedule : str
        For open_loop, such as "A5 B15"; by default the scenario's.
    llm_mode : str, optional
        For llm; the environment variables API_KEY or HF_TOKEN, API_BASE_URL, MODEL_NAME,
        LLM_TIMEOUT_SECONDS, LLM_MAX_RETRIES and LLM_POLICY_MODE name the endpoint and its settings.
    show_answers : bool
        Add the raw and the parsed answer of an LLM to each step's line, as the environment variable LLM_LOG_RAW does;
        LLM_LOG_RAW_MAX_CHARS (220) limits it. BENCHMARK_NAME (budget_router) is the name in the first line.
    plugin : str
        Python file that registers further routers.
    """
    if plugin:
        load_plugin(plugin)
    seeds = seeds_of(seed_set)
    names = BASE if tuple(scenario) == ("all",) else scenario
    longest = _answer_length(show_answers)
    out: dict[str, Any] = {}
    for name in names:
        chosen = read_scenario(name)
        player = make_policy(policy, chosen, mode, schedule=schedule, model_path=model_path, llm_mode=llm_mode)
        label = getattr(player, "model", None) or policy

        def tell(step: Step, note: Note, done: bool, chosen: Scenario = chosen) -> None:
            print(step_line(chosen, step, note, done, longest), flush=True)

        episodes = []
        for seed in list(seeds)[:max_seeds]:
            print(start_line(chosen, label), flush=True)
            episodes.append(play(chosen, player, seed, mode, on_step=tell))
            print(end_line(episodes[-1]), flush=True)
        player.close()
        out[chosen.name] = {
            "policy": policy,
            "seed_set": seed_set,
            "mode": mode,
            "clairvoyant": player.clairvoyant,
            "summary": summarise(episodes),
            "episodes": [one.record() for one in episodes],
        }
    if output_path:
        files.write_json(output_path, out)


def start_line(scenario: Scenario, model: str) -> str:
    """Return the line before an episode.

    Examples
    --------
    >>> start_line(read_scenario("easy"), "heuristic")
    '[START] task=easy env=budget_router model=heuristic'
    """
    benchmark = os.environ.get("BENCHMARK_NAME") or "budget_router"
    return f"[START] task={scenario.name} env={_word(benchmark)} model={_word(model)}"


def step_line(scenario: Scenario, step: Step, note: Note, done: bool, longest: int | None = None) -> str:
    """Return the line of one step.

    Parameters
    ----------
    longest : int, optional
        Where it is given, the line ends with so many letters of the raw answer, and with what was read in it.
    """
    action = scenario.actions[step.action]
    line = (
        f"[STEP] step={step.number} action={action} reward={step.reward:.2f} "
        f"done={str(done).lower()} error={_word(note.error) if note.error else 'null'}"
    )
    if longest is not None:
        raw = None if note.raw is None else note.raw[:longest]
        line += f" llm_raw={json.dumps(raw, ensure_ascii=False)} llm_parsed={action}"
    return line


def end_line(played: Played) -> str:
    """Return the line after an episode; success means that it was played to its end with money left."""
    score = min(0.999, max(0.001, played.grade.score))
    rewards = ",".join(f"{step.reward:.2f}" for step in played.steps)
    success = str(not played.bankrupt).lower()
    return f"[END] success={success} steps={len(played.steps)} score={score:.3f} rewards={rewards}"


def _answer_length(show: bool) -> int | None:
    if not show and os.environ.get("LLM_LOG_RAW", "").strip().lower() not in ("1", "true", "yes", "on"):
        return None
    text = os.environ.get("LLM_LOG_RAW_MAX_CHARS", "").strip() or "220"
    if not text.isdecimal():
        raise UserError(f"LLM_LOG_RAW_MAX_CHARS should be a whole number such as 220, got {text!r}")
    return int(text)


def _word(text: str) -> str:
    """Return ``text`` as one word, so that a line can be split at spaces."""
    return "_".join(text.split()) or "null"
