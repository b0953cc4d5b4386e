"""The grader: one number in [0, 1] for an episode, of five parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from dacr.envs.episode import Episode, Mode, Step

WEIGHTS = {"success": 0.30, "latency": 0.20, "budget": 0.15, "sla": 0.15, "adaptation": 0.20}
BANKRUPT_FACTOR = 0.75


@dataclass(frozen=True)
class Grade:
    """The five parts, each in [0, 1], and the score, rounded to 4 digits."""

    success: float
    latency: float
    budget: float
    sla: float
    adaptation: float
    score: float


def grade(episode: Episode, mode: Mode = "faithful") -> Grade:
    r"""Grade a finished episode.

    .. math:: .30 success + .20 latency + .15 budget + .15 sla + .20 adaptation, \; \times .75 if bankrupt

    - success: successes / steps (a shed step counts as a step).
    - latency: 1 - min(1, mean latency of routed steps / SLA); sla: share of routed steps within the SLA.
    - budget: max(0, 1 - money spent / budget).
    - adaptation: success rate of routed steps after the onset; with two onsets half from each window; with
      none, as success.

    Faithful mode divides by the steps that happened, so that a bankrupt or shedding episode is judged on
    fewer of them, and its bankrupt step counts as routed in 0 ms, within the SLA. Strict mode divides by
    the whole horizon: a request that was not served is no success, takes the full SLA, and breaks it; only
    money that was paid is spent; an empty adaptation window has no weight, where faithful mode counts 0.
    """
    parts = _strict(episode) if mode == "strict" else _faithful(episode)
    score = sum(WEIGHTS[name] * value for name, value in parts.items())
    return Grade(**parts, score=round(score * (BANKRUPT_FACTOR if episode.bankrupt else 1.0), 4))


def _faithful(episode: Episode) -> dict[str, float]:
    s, steps = episode.scenario, episode.steps
    routed = [step for step in steps if step.routed]
    spent = sum(step.cost_usd for step in steps)
    parts = {
        "success": _rate(steps),
        "latency": 0.0,
        "budget": max(0.0, 1 - spent / s.budget_usd),
        "sla": 0.0,
        "adaptation": 0.0,
    }
    if routed:
        parts["latency"] = 1 - min(1.0, sum(step.latency_ms for step in routed) / len(routed) / s.sla_ms)
        parts["sla"] = sum(step.latency_ms <= s.sla_ms for step in routed) / len(routed)
        windows = _windows(episode)
        parts["adaptation"] = (
            sum(_rate(_inside(routed, window)) for window in windows) / len(windows) if windows else _rate(steps)
        )
    return parts


def _strict(episode: Episode) -> dict[str, float]:
    s = episode.scenario
    served = [step for step in episode.steps if step.routed and not step.bankrupt]
    unserved = s.horizon - len(served)
    spent = round(sum(step.cost_usd for step in served), 9)
    ends = [(low, min(high, s.horizon)) for low, high in _windows(episode)]
    sizes = [high - low for low, high in ends]
    rates = [
        sum(step.success for step in _inside(served, window)) / size
        for window, size in zip(ends, sizes, strict=True)
        if size > 0
    ]
    success = sum(step.success for step in served) / s.horizon
    total_ms = sum(step.latency_ms for step in served) + unserved * s.sla_ms
    return {
        "success": success,
        "latency": 1 - min(1.0, total_ms / s.horizon / s.sla_ms),
        "budget": max(0.0, 1 - spent / s.budget_usd),
        "sla": sum(step.latency_ms <= s.sla_ms for step in served) / s.horizon,
        "adaptation": sum(rates) / len(rates) if rates else success,
    }


def _windows(episode: Episode) -> list[tuple[int, int]]:
    """Return the adaptation windows (low, high]: steps after each onset, until the next one."""
    onsets = episode.hidden.onsets
    if not onsets:
        return []
    starts = [max(onsets[0], 1), *onsets[1:]]
    return list(zip(starts, [*starts[1:], episode.scenario.horizon], strict=True))


def _inside(steps: Sequence[Step], window: tuple[int, int]) -> list[Step]:
    return [step for step in steps if window[0] < step.number <= window[1]]


def _rate(steps: Sequence[Step]) -> float:
    return sum(step.success for step in steps) / len(steps) if steps else 0.0
