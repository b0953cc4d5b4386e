"""Training episodes: what every arm would have given, for routers that are fitted before they play."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import generator
from dacr.envs.episode import Episode
from dacr.envs.fleet import SimulatedFleet
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.grader import WEIGHTS
from dacr.envs.policies.health import HealthFilter
from dacr.envs.scenarios import Brief, Scenario
from dacr.estimates.features.cues import NAMES
from dacr.types import Floats, Outcomes

TRAINING_SEEDS = range(10_000, 10_200)
"""Episodes that routers are fitted on; results are never told for them."""

_RICH = 1e9
_PLAYERS, _STEPS = 256, 48


@dataclass(frozen=True, eq=False)
class Experience:
    """Training decisions with what every arm would have given.

    Attributes
    ----------
    features : (n, n_feature) float32
        What the agent observed.
    belief : (n, n_model) float or None
        Success probabilities from a filter that was fitted on other episodes; None where there is none.
    outcomes : Outcomes of n decisions
        Cues are what a caller sees of an answer: whether it failed.
    tau_s : float
        A call that takes longer is late.
    prices : dict
        What a dollar (``lambda_cost``) and a late answer (``lambda_late``) are worth here, in units of one success.
    health : HealthFilter or None
        The filter, for beliefs in play.
    """

    name: str
    models: tuple[str, ...]
    features: NDArray[np.float32]
    belief: Floats | None
    outcomes: Outcomes
    tau_s: float
    prices: dict[str, float]
    health: HealthFilter | None = None


def cues_of(failed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return what a caller reads off answers, of which it sees that they failed: shape (*failed.shape, n_cue)."""
    cues = np.zeros((*failed.shape, len(NAMES)), dtype=np.float32)
    cues[..., NAMES.index("empty")] = failed
    return cues


def _outcomes(quality: Floats, price: Sequence[float], latency_s: Floats, tau_s: float) -> Outcomes:
    cost = np.tile(np.array(price), (len(quality), 1))
    return Outcomes(quality, cost, latency_s, latency_s > tau_s, cues_of(quality <= 0))


def experience_of(rules: Scenario | LLMRouterConfig) -> Experience:
    """Return the training episodes of either game."""
    return fleet_experience(rules) if isinstance(rules, LLMRouterConfig) else budget_experience(rules)


def features_of(observation: NDArray[Any], belief: Floats | None) -> NDArray[np.float32]:
    """Return what a predictor reads.

    The observation; in the budget router without the money left (the random watcher's never falls), with the belief.
    """
    if belief is None:
        return np.asarray(observation, dtype=np.float32)
    n = belief.shape[1]
    return np.hstack([observation[:, :n], observation[:, n + 1 :], belief]).astype(np.float32)


@lru_cache(maxsize=32)
def budget_experience(scenario: Scenario) -> Experience:
    """Return a belief filter and the experience of one scenario.

    The filter is fitted on the first half of :data:`TRAINING_SEEDS`; in the second half a random player
    with money without end watches, and its observations and filtered beliefs are the experience.
    """
    half = len(TRAINING_SEEDS) // 2
    truth = [_every_arm(scenario, seed) for seed in TRAINING_SEEDS]
    health = HealthFilter().fit(np.stack([success for success, _ in truth[:half]]))
    features, beliefs = [], []
    for seed in TRAINING_SEEDS[half:]:
        x, belief = _watch(scenario, seed, health)
        features.append(x)
        beliefs.append(belief)
    success, latency_ms = (np.concatenate(parts) for parts in zip(*truth[half:], strict=True))
    price, tau_s = [provider.cost_usd for provider in scenario.providers], scenario.sla_ms / 1000
    return Experience(
        name=scenario.name,
        models=tuple(provider.name for provider in scenario.providers),
        features=np.concatenate(features),
        belief=np.concatenate(beliefs),
        outcomes=_outcomes(success, price, latency_ms / 1000, tau_s),
        tau_s=tau_s,
        prices=grader_prices(scenario),
        health=health,
    )


def grader_prices(brief: Brief) -> dict[str, float]:
    """Return what the grader pays for a dollar and for a late answer, in units of one success.

    One success is worth (.30 + .20) / horizon of the grade, one dollar .15 / budget, one late answer
    .15 / horizon.
    """
    success = (WEIGHTS["success"] + WEIGHTS["adaptation"]) / brief.horizon
    return {
        "lambda_cost": WEIGHTS["budget"] / brief.budget_usd / success,
        "lambda_late": WEIGHTS["sla"] / brief.horizon / success,
    }


def _every_arm(scenario: Scenario, seed: int) -> tuple[Floats, Floats]:
    """Return success (0 or 1) and latency in ms of every provider at every step: (n_step, n_provider)."""
    rich = replace(scenario, budget_usd=_RICH)
    columns = []
    for provider in range(scenario.shed):
        episode = Episode(rich, seed)
        while not episode.done:
            episode.step(provider)
        columns.append([(float(step.success), step.latency_ms) for step in episode.steps])
    table = np.array(columns)
    return table[:, :, 0].T, table[:, :, 1].T


def _watch(scenario: Scenario, seed: int, health: HealthFilter) -> tuple[NDArray[np.float32], Floats]:
    rng = generator("watcher", scenario.name, seed)
    episode = Episode(replace(scenario, budget_usd=_RICH), seed)
    health.reset()
    features, beliefs = [], []
    while not episode.done:
        beliefs.append(health.predict())
        features.append(features_of(np.array([episode.observation()]), beliefs[-1][None, :]))
        provider = int(rng.integers(scenario.shed))
        episode.step(provider)
        health.update(provider, episode.steps[-1].success)
    return np.concatenate(features), np.stack(beliefs)


@lru_cache(maxsize=8)
def fleet_experience(config: LLMRouterConfig) -> Experience:
    """Return what every model would have given on the prompts of random players' first steps.

    Each player keeps to one mixture of models, so that queues of all lengths are met.
    """
    rng, n = generator("fleet experience"), _PLAYERS
    fleet = SimulatedFleet(replace(config, budget=_RICH), n)
    fleet.reset(rng)
    n_model = len(config.models)
    mixture = rng.dirichlet(np.full(n_model, 0.3), n)
    features, quality, latency = [], [], []
    for number in range(_STEPS):
        if number % 4 == 0:
            features.append(fleet.observation.copy())
            every = [fleet.outcome(rng, np.full(n, arm)) for arm in range(n_model)]
            quality.append(np.column_stack([q for q, _ in every]))
            latency.append(np.column_stack([seconds for _, seconds in every]))
        draw = rng.random((n, 1))
        fleet.step(np.minimum((draw > np.cumsum(mixture, axis=1)).sum(axis=1), n_model - 1))
    seconds = np.concatenate(latency)
    price = [model.cost_per_call for model in config.models]
    reward = config.reward_config
    excess = seconds[seconds > reward.sla_threshold] - reward.sla_threshold
    return Experience(
        name=config.name,
        models=config.arms,
        features=np.concatenate(features),
        belief=None,
        outcomes=_outcomes(np.concatenate(quality), price, seconds, reward.sla_threshold),
        tau_s=reward.sla_threshold,
        # A late answer costs what the late answers of training exceeded the threshold by, on average.
        prices={
            "lambda_cost": reward.cost_weight / reward.quality_weight,
            "lambda_late": reward.latency_penalty / reward.quality_weight * float(excess.mean() if len(excess) else 0),
        },
    )
