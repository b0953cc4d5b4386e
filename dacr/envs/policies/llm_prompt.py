"""What an LLM is told when it routes, and how its answer is read: rules once, then one message per step."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dacr.core import files
from dacr.envs.scenarios import Brief

_CHEAP_SPEND = 0.001
_THOUGHT = re.compile(r"<think>.*?(</think>|$)", re.S | re.I)

_TOLD: dict[str, str] = files.read_yaml(Path(__file__).with_suffix(".yaml"))


class Last(NamedTuple):
    """What the last step gave: success (0 or 1), USD, seconds."""

    action: int
    success: float
    cost_usd: float
    latency_s: float
    reward: float


@dataclass(frozen=True)
class Reading:
    """An observation in words' reach: USD and whole steps."""

    status: tuple[float, ...]
    left_usd: float
    queue: float
    latency: float
    step: float


def reading(brief: Brief, observation: tuple[float, ...]) -> Reading:
    """Name the parts of an observation."""
    n = brief.shed
    return Reading(observation[:n], observation[n] * brief.budget_usd, *observation[n + 1 :])


def rules(brief: Brief, objective: bool = False) -> str:
    """Return the first message: task, providers, prices, actions, how to choose, and the run's profile.

    Parameters
    ----------
    objective : bool
        In the mode ``objective_feedback``: what is graded, and a strategy for early, middle and late steps.
    """
    lines = [f"- {p.name}: {p.cost_usd:.2f} USD a call, about {p.latency_ms:.0f} ms" for p in brief.providers]
    *others, dearest = (provider.name for provider in brief.providers)
    text = _TOLD["rules"].format(
        name=brief.name,
        horizon=brief.horizon,
        providers="\n".join(lines),
        actions=", ".join(brief.actions),
        window=brief.window,
        dip=1 / brief.window,
        sla=brief.sla_ms,
        dearest=dearest,
        others=" and ".join(others),
        profile=brief.profile,
    )
    if not objective:
        return text
    return f"{text}\n\n{_TOLD['objective'].format(sla=brief.sla_ms, phases=brief.strategy)}"


def message(brief: Brief, history: list[Reading], last: Last | None = None) -> str:
    """Return one step's message: the observation, the trend, how far the money goes, and the steps that remain.

    Parameters
    ----------
    history : list of Reading
        Of this episode, the newest last.
    last : Last, optional
        In the mode ``objective_feedback``: what the last step gave.
    """
    now = history[-1]
    names = [provider.name for provider in brief.providers]
    remaining = max(1, brief.horizon - round(brief.horizon * now.step))
    lines = [
        "status: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(names, now.status, strict=True)),
        "trend: " + _trend(names, history),
        f"money left: {now.left_usd:.2f} of {brief.budget_usd:.2f} USD; at the last spend it lasts for "
        f"{_runway(brief, history)} calls",
        f"queue: {now.queue:.2f}; last latency: {now.latency:.2f}",
        f"steps remaining: {remaining}",
    ]
    if last is not None:
        lines.append(
            f"last step: {brief.actions[last.action]}, {'success' if last.success else 'no success'}, "
            f"cost {last.cost_usd:.2f} USD, {1000 * last.latency_s:.0f} ms, reward {last.reward:.2f}"
        )
    return "\n".join([*lines, "Your action:"])


def parse(brief: Brief, text: str) -> int | None:
    """Return the action that ``text`` names, or None where it names none or several.

    Examples
    --------
    >>> from dacr.envs.scenarios import scenario
    >>> brief = scenario("easy").brief()
    >>> parse(brief, " Route_to_B. "), parse(brief, "I take route_to_c"), parse(brief, "route_to_a or route_to_b")
    (1, 2, None)
    """
    answer = _THOUGHT.sub(" ", text).strip().lower()
    exact = answer.strip(" \t\r\n.,;:!\"'`*")
    if exact in brief.actions:
        return brief.actions.index(exact)
    named = [i for i, action in enumerate(brief.actions) if re.search(rf"(?<!\w){action}(?!\w)", answer)]
    return named[0] if len(named) == 1 else None


def _trend(names: list[str], history: list[Reading]) -> str:
    if len(history) < 2:
        return "none yet"
    steps = min(2, len(history) - 1)
    now, before = history[-1].status, history[-1 - steps].status
    told = ", ".join(f"{name} {(a - b) / steps:+.2f}" for name, a, b in zip(names, now, before, strict=True))
    return f"{told} per step" + (" (from one step: noisy)" if steps == 1 else "")


def _runway(brief: Brief, history: list[Reading]) -> str:
    spent = history[-2].left_usd - history[-1].left_usd if len(history) > 1 else 0.0
    # 1.00 / 0.10 is 10 calls, also where the difference of two balances is 0.1000000001.
    return str(int(history[-1].left_usd / spent + 1e-6)) if spent > _CHEAP_SPEND else f"more than {brief.horizon}"
