"""Training episodes: what every arm would have given, for routers that are fitted before they play."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import generator
from dacr.envs.episode import Episode
from dacr.envs.health import HealthFilter
from dacr.envs.llm_config import LLMRouterConfig
from dacr.envs.llm_fleet import Fleet
from dacr.envs.outlook import Experience
from dacr.envs.scenarios import Scenario
from dacr.types import Floats

TRAINING_SEEDS = range(10_000, 10_200)
"""Episodes that routers are fitted on; results are never told for them."""

_RICH = 1e9


@lru_cache(maxsize=32)
def budget_experience(scenario: Scenario) -> tuple[HealthFilter, Experience]:
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
    price = np.array([provider.cost_usd for provider in scenario.providers])
    success = np.concatenate([s for s, _ in truth[half:]])
    return health, Experience(
        name=scenario.name,
        models=tuple(provider.name for provider in scenario.providers),
        features=np.concatenate(features),
        belief=np.concatenate(beliefs),
        quality=success,
        cost_usd=np.repeat(price[None, :], len(success), axis=0),
        latency_s=np.concatenate([latency for _, latency in truth[half:]]) / 1000,
        tau_s=scenario.sla_ms / 1000,
    )


def budget_features(observation: tuple[float, ...], belief: Floats) -> NDArray[np.float32]:
    """Return the observation without the money left (the random watcher's never falls), and the belief."""
    n = len(belief)
    return np.array([*observation[:n], *observation[n + 1 :], *belief], dtype=np.float32)


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
        belief = health.predict()
        features.append(budget_features(episode.observation(), belief))
        beliefs.append(belief)
        provider = int(rng.integers(scenario.shed))
        episode.step(provider)
        health.update(provider, episode.steps[-1].success)
    return np.stack(features), np.stack(beliefs)


@lru_cache(maxsize=8)
def fleet_experience(config: LLMRouterConfig, n: int = 256, n_step: int = 48) -> Experience:
    """Return what every model would have given on the prompts of ``n`` random players' first steps.

    Each player keeps to one mixture of models, so that queues of all lengths are met.
    """
    rng = generator("fleet experience")
    fleet = Fleet(replace(config, budget=_RICH), n)
    fleet.reset(rng)
    n_model = len(config.models)
    mixture = rng.dirichlet(np.full(n_model, 0.3), n)
    features, quality, latency = [], [], []
    for number in range(n_step):
        if number % 4 == 0:
            features.append(fleet.observation.copy())
            every = [fleet.outcome(rng, np.full(n, arm)) for arm in range(n_model)]
            quality.append(np.column_stack([q for q, _ in every]))
            latency.append(np.column_stack([seconds for _, seconds in every]))
        draw = rng.random((n, 1))
        fleet.step(rng, np.minimum((draw > np.cumsum(mixture, axis=1)).sum(axis=1), n_model - 1))
    rows = np.concatenate(features)
    return Experience(
        name="fleet",
        models=tuple(model.name for model in config.models),
        features=rows,
        belief=None,
        quality=np.concatenate(quality),
        cost_usd=np.repeat(np.array([[model.cost_per_call for model in config.models]]), len(rows), axis=0),
        latency_s=np.concatenate(latency),
        tau_s=config.reward.sla_threshold,
    )
