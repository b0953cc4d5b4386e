"""Play episodes of the budget router, and sum them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dacr.envs.episode import Episode, Mode, Money, Step
from dacr.envs.grader import Grade, grade
from dacr.envs.policies.base import Answer, Policy, Seen
from dacr.envs.scenarios import Scenario


@dataclass(frozen=True)
class Played:
    """One finished episode: its steps, the answers that led to them, its grade."""

    seed: int
    steps: tuple[Step, ...]
    answers: tuple[Answer, ...]
    grade: Grade
    bankrupt: bool

    @property
    def reward(self) -> float:
        """Sum of rewards."""
        return sum(step.reward for step in self.steps)

    def summary(self) -> dict[str, float]:
        """Return reward, success rate, cost in USD, latency in ms of routed steps, and grader score."""
        routed = [step.latency_ms for step in self.steps if step.routed]
        return {
            "reward": self.reward,
            "success_rate": fmean(step.success for step in self.steps),
            "cost": sum(step.cost_usd for step in self.steps),
            "latency_ms": fmean(routed) if routed else 0.0,
            "grader_score": self.grade.score,
        }


def play(
    scenario: Scenario,
    policy: Policy,
    seed: int,
    mode: Mode = "faithful",
    money: Money | None = None,
    on_step: Callable[[Step, Answer, bool], None] = lambda step, answer, done: None,
) -> Played:
    """Play one episode and grade it; ``on_step`` is told each step, the answer behind it, and whether it is over."""
    episode = Episode(scenario, seed, money or ("exact" if mode == "strict" else "float"))
    policy.reset(seed)
    answers: list[Answer] = []
    while not episode.done:
        if policy.clairvoyant:
            policy.peek(episode)
        answer = policy.act(episode.observation())
        reward = episode.step(answer.action)
        step = episode.steps[-1]
        paid = 0.0 if step.bankrupt else step.cost_usd
        policy.learn(Seen(step.action, step.success, paid, step.latency_ms, reward))
        answers.append(answer)
        on_step(step, answer, episode.done)
    return Played(seed, tuple(episode.steps), tuple(answers), grade(episode, mode), episode.bankrupt)


def summarise(played: Sequence[Played]) -> dict[str, float]:
    """Return the means over episodes, under the published names."""
    parts = [one.summary() for one in played]
    return {f"mean_{name}": fmean(part[name] for part in parts) for name in parts[0]}


def as_record(scenario: Scenario, one: Played) -> dict[str, Any]:
    """Return one episode for the JSON file."""
    return {
        "seed": one.seed,
        **one.summary(),
        "parts": {name: getattr(one.grade, name) for name in ("success", "latency", "budget", "sla", "adaptation")},
        "bankrupt": one.bankrupt,
        "actions": [scenario.actions[step.action] for step in one.steps],
        "rewards": [round(step.reward, 6) for step in one.steps],
        "errors": [answer.error for answer in one.answers],
    }
