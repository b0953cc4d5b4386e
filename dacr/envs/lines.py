"""The lines that an episode prints: ``[START]``, ``[STEP]``, ``[END]``."""

from __future__ import annotations

import json

from dacr.envs import BUDGET_ROUTER
from dacr.envs.episode import Step
from dacr.envs.play import Played
from dacr.envs.policies.base import Answer
from dacr.envs.scenarios import Scenario


def start_line(scenario: Scenario, model: str) -> str:
    """Return the line before an episode.

    Examples
    --------
    >>> from dacr.envs.scenarios import scenario
    >>> start_line(scenario("easy"), "heuristic")
    '[START] task=easy env=BudgetRouter-v0 model=heuristic'
    """
    return f"[START] task={scenario.name} env={BUDGET_ROUTER} model={_word(model)}"


def step_line(scenario: Scenario, step: Step, answer: Answer, done: bool, show_answer: bool = False) -> str:
    """Return the line of one step; ``show_answer`` adds the raw answer and what was read in it."""
    action = scenario.actions[step.action]
    line = (
        f"[STEP] step={step.number} action={action} reward={step.reward:.2f} "
        f"done={str(done).lower()} error={_word(answer.error) if answer.error else 'null'}"
    )
    if show_answer:
        line += f" raw={json.dumps(answer.raw, ensure_ascii=False)} parsed={action}"
    return line


def end_line(played: Played) -> str:
    """Return the line after an episode; success means that it was played to its end with money left."""
    score = min(0.999, max(0.001, played.grade.score))
    rewards = ",".join(f"{step.reward:.2f}" for step in played.steps)
    success = str(not played.bankrupt).lower()
    return f"[END] success={success} steps={len(played.steps)} score={score:.3f} rewards={rewards}"


def _word(text: str) -> str:
    """Return ``text`` as one word, so that a line can be split at spaces."""
    return "_".join(text.split()) or "null"
