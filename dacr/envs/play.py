"""Play games to their end, and sum them up; ``scripts/play_budget.py``, and the lines that it prints."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin
from dacr.core.values import AtLeast1
from dacr.envs.budget_router import BudgetGame
from dacr.envs.episode import Mode, Money, Step
from dacr.envs.fleet import SimulatedFleet
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Note, Policy, turns
from dacr.envs.grader import Grade, grade
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import BASE, Scenario, seeds_of
from dacr.envs.scenarios import scenario as read_scenario
from dacr.types import Floats


@dataclass(frozen=True)
class PlayedEpisode:
    """One finished episode of the budget router: its steps, a note on each action, its grade."""

    scenario: Scenario
    seed: int
    steps: tuple[Step, ...]
    notes: tuple[Note, ...]
    grade: Grade
    bankrupt: bool

    def summary(self) -> dict[str, float]:
        """Return reward, success rate of routed steps, cost in USD, latency in ms of routed steps, grader score."""
        routed = [step for step in self.steps if step.routed]
        return {
            "reward": sum(step.reward for step in self.steps),
            "success_rate": fmean(step.success for step in routed) if routed else 0.0,
            "cost": sum(step.cost_usd for step in self.steps),
            "latency_ms": fmean(step.latency_ms for step in routed) if routed else 0.0,
            "grader_score": self.grade.score,
        }

    def record(self) -> dict[str, Any]:
        """Return the episode for a JSON file, under the published names."""
        told = self.summary()
        parts = asdict(self.grade)
        return {
            "seed": self.seed,
            "total_reward": told["reward"],
            "success_rate": told["success_rate"],
            "total_cost_spent": told["cost"],
            "average_latency_ms": told["latency_ms"],
            "sla_met": any(step.routed for step in self.steps) and told["latency_ms"] <= self.scenario.sla_ms,
            "queue_overflow_events": sum(step.queue_overflow for step in self.steps),
            "grader_score": parts.pop("score"),
            "grader_breakdown": parts,
            "bankrupt": self.bankrupt,
            "trace": [self._traced(*pair) for pair in zip(self.steps, self.notes, strict=True)],
        }

    def _traced(self, step: Step, note: Note) -> dict[str, Any]:
        s = self.scenario
        status = {f"provider_{arm}_status": seen for arm, seen in zip(s.arms, step.status, strict=False)}
        return status | {
            "step": step.number,
            "action_type": s.actions[step.action],
            "request_succeeded": step.success,
            "cost": step.cost_usd,
            "latency_ms": step.latency_ms,
            "reward": round(step.reward, 6),
            "provider": s.providers[step.action].name if step.routed else None,
            "queue_overflow": step.queue_overflow,
            "budget_exhausted": step.bankrupt,
            "error": note.error,
        }


def play(
    scenario: Scenario,
    policy: Policy,
    seed: int,
    mode: Mode = "faithful",
    money: Money | None = None,
    on_step: Callable[[Step, Note, bool], None] = lambda step, note, done: None,
) -> PlayedEpisode:
    """Play and grade one episode; ``on_step`` is told each step, the note on its action, and whether it is over."""
    game = BudgetGame(scenario, seed, money or ("exact" if mode == "strict" else "float"))
    episode, notes = game.episode, []
    for _ in turns(game, policy, seed):
        notes.append(policy.note)
        on_step(episode.steps[-1], policy.note, episode.done)
    return PlayedEpisode(scenario, seed, tuple(episode.steps), tuple(notes), grade(episode, mode), episode.bankrupt)


def play_fleet(config: LLMRouterConfig, policy: Policy, n: int = 100, seed: int = 0) -> pd.DataFrame:
    """Play ``n`` episodes side by side.

    A step draws the same numbers whatever was chosen, so episodes with one seed are paired across policies.

    Returns
    -------
    DataFrame
        One row per episode: policy, episode, steps, reward and cost (sums, USD), quality, latency_s and
        late_share (means).
    """
    fleet = SimulatedFleet(config, n)
    fleet.reset(np.random.default_rng(seed))
    sums: dict[str, Floats] = {name: np.zeros(n) for name in ("reward", "cost", "quality", "latency_s", "late_share")}
    steps = np.zeros(n, dtype=int)
    for _, moved, going in turns(fleet, policy, seed):
        late = moved.latency > config.reward_config.sla_threshold
        for name, values in zip(sums, (moved.reward, moved.cost, moved.quality, moved.latency, late), strict=True):
            sums[name] += np.where(going, values, 0.0)
        steps += going
    for name in ("quality", "latency_s", "late_share"):
        sums[name] /= steps
    return pd.DataFrame({"policy": policy.name, "episode": np.arange(n), "steps": steps, **sums})


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
            "summary": pd.DataFrame([one.summary() for one in episodes]).mean().add_prefix("mean_").to_dict(),
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


def end_line(played: PlayedEpisode) -> str:
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
