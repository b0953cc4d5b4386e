"""The stage behind ``scripts/play_budget.py``."""

from __future__ import annotations

from typing import Any, Literal

from dacr.core import files
from dacr.core.errors import UserError
from dacr.envs.episode import Step
from dacr.envs.lines import end_line, start_line, step_line
from dacr.envs.play import as_record, play, summarise
from dacr.envs.policies.base import Answer
from dacr.envs.policies.make import Options, make_policy
from dacr.envs.scenarios import BASE, SEED_SETS
from dacr.envs.scenarios import scenario as read_scenario


def play_budget(
    *,
    policy: str = "heuristic",
    seed_set: str = "development",
    scenario: str = "all",
    max_seeds: int | None = None,
    output_path: str | None = None,
    mode: Literal["faithful", "strict"] = "faithful",
    model_path: str | None = None,
    schedule: str = "",
    llm_mode: Literal["observation", "objective_feedback"] | None = None,
    show_answers: bool = False,
) -> None:
    """Play episodes of the budget router with one policy; print each step, write a JSON summary.

    Parameters
    ----------
    policy : str
        heuristic, oracle, random, always_a, always_b, always_c, always_shed, open_loop, llm, ppo, or a router.
    seed_set : str
        development (0-9), heldout (100-109) or fresh (200-209).
    scenario : str
        all (the four published ones), or names with commas: easy, medium, hard, hard_multi, shuffled, flapping, ...
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
        Add the raw and the parsed answer of an LLM to each step's line.
    """
    if seed_set not in SEED_SETS:
        raise UserError(f"unknown --seed_set {seed_set!r}; expected one of {', '.join(SEED_SETS)}")
    if max_seeds is not None and max_seeds < 1:
        raise UserError(f"--max_seeds must be at least 1, got {max_seeds}")
    seeds = list(SEED_SETS[seed_set])[:max_seeds]
    names = list(BASE) if scenario == "all" else [n.strip() for n in scenario.split(",") if n.strip()]
    out: dict[str, Any] = {}
    for name in names:
        chosen = read_scenario(name)
        player = make_policy(policy, chosen, mode, Options(schedule, model_path, llm_mode))
        label = getattr(player, "model", None) or policy

        def tell(step: Step, answer: Answer, done: bool, chosen: Any = chosen) -> None:
            print(step_line(chosen, step, answer, done, show_answers), flush=True)

        episodes = []
        for seed in seeds:
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
            "episodes": [as_record(chosen, one) for one in episodes],
        }
    if output_path:
        files.write_json(output_path, out)
