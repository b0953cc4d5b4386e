"""Play games to their end, and sum them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from dacr.envs.budget_router import BudgetGame
from dacr.envs.episode import Mode, Money, Step
from dacr.envs.fleet import Fleet
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Note, Policy, turns
from dacr.envs.grader import Grade, grade
from dacr.envs.scenarios import Scenario
from dacr.types import Floats


@dataclass(frozen=True)
class Played:
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
) -> Played:
    """Play and grade one episode; ``on_step`` is told each step, the note on its action, and whether it is over."""
    game = BudgetGame(scenario, seed, money or ("exact" if mode == "strict" else "float"))
    episode, notes = game.episode, []
    for _ in turns(game, policy, seed):
        notes.append(policy.note)
        on_step(episode.steps[-1], policy.note, episode.done)
    return Played(scenario, seed, tuple(episode.steps), tuple(notes), grade(episode, mode), episode.bankrupt)


def summarise(played: Sequence[Played]) -> dict[str, float]:
    """Return the means over episodes, under the published names."""
    means = pd.DataFrame([one.summary() for one in played]).mean()
    return {f"mean_{name}": float(value) for name, value in means.items()}


def play_fleet(config: LLMRouterConfig, policy: Policy, n: int = 100, seed: int = 0) -> pd.DataFrame:
    """Play ``n`` episodes side by side.

    A step draws the same numbers whatever was chosen, so episodes with one seed are paired across policies.

    Returns
    -------
    DataFrame
        One row per episode: policy, episode, steps, reward and cost (sums, USD), quality, latency_s and
        late_share (means).
    """
    fleet = Fleet(config, n)
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
