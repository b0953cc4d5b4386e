"""What an LLM is told when it routes: the rules once, then one message per step."""

from __future__ import annotations

from dataclasses import dataclass

from dacr.envs.policies.base import Seen
from dacr.envs.scenarios import Brief

_CHEAP_SPEND = 0.001

_RULES = """\
You route requests, one per step, for {horizon} steps. Answer with one action name and nothing else.

Providers, from cheap to dear:
{providers}
Actions: {actions}.

What you are shown:
- status of a provider: the share of its last {window} calls that succeeded. {unknown} means that it was not called yet.
- money left, the queue, the latency of the last call (as shares of their limits), and the step.

How to choose:
1. Stay on the cheapest provider whose status is above 0.52. A provider at {unknown} may be tried.
2. One bad reading is noise. Move to the next provider when the decline is sustained.
3. Never run out of money: that is a hard constraint. A call that would take the last of it ends everything.
   Compare the steps that remain with the calls that the money still pays for.
4. shed_load costs no money, but serves nobody. Use it when no provider can be trusted or paid.

{profile}"""

_PROFILES = {
    "easy": "This run: calm. Reliability differs between providers, and is steady.",
    "medium": "This run: the cheapest provider may get worse at some point and stay so.",
    "hard": "This run: the cheapest provider may get worse early; money is scarce.",
    "hard_multi": "This run: more than one provider may get worse, one after the other; keep money for the end.",
}
_HIDDEN = "This run: any provider may get worse at any time, and may recover; try a failed one again now and then."


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


def rules(brief: Brief) -> str:
    """Return the first message: providers, prices, actions, how to choose, and the run's profile."""
    lines = [f"- {p.name}: {p.cost_usd:.2f} USD a call, about {p.latency_ms:.0f} ms" for p in brief.providers]
    return _RULES.format(
        horizon=brief.horizon,
        providers="\n".join(lines),
        actions=", ".join(brief.actions),
        window=brief.window,
        unknown="0.5",
        profile=_PROFILES.get(brief.scenario, _HIDDEN),
    )


def message(brief: Brief, history: list[Reading], last: Seen | None = None) -> str:
    """Return one step's message: the observation, the trend, how far the money goes, and the steps that remain.

    Parameters
    ----------
    history : list of Reading
        Of this episode, the newest last.
    last : Seen, optional
        In the mode ``objective_feedback``: what the last step gave.
    """
    now = history[-1]
    names = [provider.name for provider in brief.providers]
    remaining = max(1, brief.horizon - round(brief.horizon * now.step))
    lines = [
        "status: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(names, now.status, strict=True)),
        "trend: " + _trend(names, history),
        f"money left: {now.left_usd:.2f} of {brief.budget_usd:.2f} USD; at the last spend it lasts for "
        f"{_runway(brief, history)} calls",
        f"queue: {now.queue:.2f}; last latency: {now.latency:.2f}",
        f"steps remaining: {remaining}",
    ]
    if last is not None:
        lines.append(
            f"last step: {brief.actions[last.action]}, {'success' if last.success else 'no success'}, "
            f"cost {last.cost_usd:.2f} USD, {last.latency_ms:.0f} ms, reward {last.reward:.2f}"
        )
    return "\n".join([*lines, "Your action:"])


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
