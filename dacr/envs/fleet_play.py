"""Policies for ``LLMRouter-v0``, and many episodes of it at once.

All policies meet the same prompts: a step draws the same numbers whatever was chosen, so episodes with one
seed are paired across policies.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.registry import routers
from dacr.core.rng import generator, seed_for
from dacr.envs.experience import fleet_experience
from dacr.envs.llm_config import LLMRouterConfig
from dacr.envs.llm_fleet import Fleet, Moved
from dacr.envs.outlook import Outlook
from dacr.envs.ppo import load_sb3
from dacr.routers.base import Choice, Router
from dacr.types import SHED, Bools, Estimates, Feedback, Floats, Ints, Outcomes


class FleetPolicy:
    """Base: ``n`` episodes at once, one action each."""

    name = ""
    clairvoyant = False

    def reset(self, n: int, config: LLMRouterConfig, seed: int) -> None:
        """Begin ``n`` episodes."""
        self.n, self.config = n, config

    def act(self, fleet: Fleet) -> Ints:
        """Return (n,) models; only clairvoyant policies read more of ``fleet`` than its observation."""
        raise NotImplementedError

    def learn(self, actions: Ints, moved: Moved, going: Bools) -> None:
        """Take what the step gave in the episodes that still go on."""


class Constant(FleetPolicy):
    """One model on every prompt."""

    def __init__(self, config: LLMRouterConfig, model: int) -> None:
        self.name = f"always_{config.models[model].name}"
        self.model = model

    def act(self, fleet: Fleet) -> Ints:
        """Return the one model."""
        return np.full(self.n, self.model)


class RoundRobin(FleetPolicy):
    """The models in turn."""

    name = "round_robin"

    def reset(self, n: int, config: LLMRouterConfig, seed: int) -> None:
        """Begin at the first model."""
        super().reset(n, config, seed)
        self._next = -1

    def act(self, fleet: Fleet) -> Ints:
        """Return the next model."""
        self._next += 1
        return np.full(self.n, self._next % len(self.config.models))


class RandomModel(FleetPolicy):
    """Any model with the same chance."""

    name = "random"

    def reset(self, n: int, config: LLMRouterConfig, seed: int) -> None:
        """Seed the policy's own draws."""
        super().reset(n, config, seed)
        self._rng = generator("random fleet policy", seed)

    def act(self, fleet: Fleet) -> Ints:
        """Return uniform draws."""
        return self._rng.integers(len(self.config.models), size=self.n)


class PPOFleet(FleetPolicy):
    """The most likely action of a trained network."""

    def __init__(self, model_path: str, name: str = "ppo") -> None:
        self.name = name
        self._model = load_sb3().PPO.load(model_path, device="cpu")

    def act(self, fleet: Fleet) -> Ints:
        """Return the network's actions."""
        actions: Ints = np.asarray(self._model.predict(fleet.observation, deterministic=True)[0])
        return actions


class RouterFleet(FleetPolicy):
    """A router of the project; learners keep one run per episode.

    Its prices are the reward's, in units of quality: a dollar costs cost_weight / quality_weight, a late
    answer latency_penalty / quality_weight times the mean excess of late answers in training.
    """

    def __init__(self, router_name: str, config: LLMRouterConfig) -> None:
        experience = fleet_experience(config)
        make = routers.get(router_name)
        accepted = inspect.signature(make.__init__).parameters
        late = experience.late
        excess = float((experience.latency_s[late] - experience.tau_s).mean()) if late.any() else 0.0
        prices = {
            "lambda_cost": config.reward.cost_weight / config.reward.quality_weight,
            "lambda_late": config.reward.latency_penalty / config.reward.quality_weight * excess,
        }
        self.name = f"router:{router_name}"
        self.router: Router = make(**{name: value for name, value in prices.items() if name in accepted})
        self.clairvoyant = self.router.clairvoyant or self.router.full_information
        self._outlook = Outlook(self.router, experience)
        self.router.fit(self._outlook.training())

    def reset(self, n: int, config: LLMRouterConfig, seed: int) -> None:
        """Begin ``n`` runs: learners forget."""
        super().reset(n, config, seed)
        self._t, self._seed = 0, seed
        seeds = np.array([seed_for("fleet", self.name, seed, i) for i in range(n)], dtype=np.uint64)
        if self.router.learns:
            self.router.start(n, 1, seeds)
        else:
            self.router.seed = seed_for("fleet", self.name, seed) % 2**63
        self._other_worlds = generator("what other models would have given", seed)

    def act(self, fleet: Fleet) -> Ints:
        """Ask the router; a model whose price would take the last of the money is not called."""
        self._now = self._estimates(fleet)
        self._choice: Choice = self.router.decide(self._now)
        if self.router.full_information:
            arms = range(len(self.config.models))
            worlds = [fleet.outcome(self._other_worlds, np.full(self.n, arm)) for arm in arms]
            latency = np.column_stack([seconds for _, seconds in worlds])
            late = latency > self.config.reward.sla_threshold
            quality = np.column_stack([q for q, _ in worlds])
            self._truth: Outcomes | None = Outcomes(quality, self._now.cost_hat, latency, late)
        else:
            self._truth = None
        # There is no shedding here: a router that would not call takes the cheapest model.
        cheapest = int(self._now.cost_hat[0].argmin())
        return np.where(self._choice.model == SHED, cheapest, self._choice.model)

    def _estimates(self, fleet: Fleet) -> Estimates:
        now = self._outlook.now(fleet.observation, None, f"fleet/{self._seed}/{self._t}")
        if self.router.clairvoyant:
            quality, p_late = fleet.expected()
            now = now.with_(p=quality, p_raw=quality, p_late=p_late)
        return now

    def learn(self, actions: Ints, moved: Moved, going: Bools) -> None:
        """Give learners their feedback."""
        self._t += 1
        if not self.router.learns:
            return
        run = np.flatnonzero(going)
        late: Floats = (moved.latency > self.config.reward.sla_threshold).astype(float)
        self.router.observe(
            Feedback(
                run=run,
                t=np.full(len(run), self._t - 1),
                requests=self._now.take(run),
                model=actions[run],
                propensity=self._choice.propensity[run],
                cost_usd=moved.cost[run],
                late=late[run],
                quality=moved.quality[run],
                all_outcomes=None if self._truth is None else self._truth.take(run),
            )
        )


def play_fleet(config: LLMRouterConfig, policy: FleetPolicy, n: int = 100, seed: int = 0) -> pd.DataFrame:
    """Play ``n`` episodes; return reward and cost (sums), quality, latency_s and late share (means) of each."""
    rng = np.random.default_rng(seed)
    fleet = Fleet(config, n)
    fleet.reset(rng)
    policy.reset(n, config, seed)
    sums: dict[str, NDArray[Any]] = {
        name: np.zeros(n) for name in ("reward", "cost", "quality", "latency_s", "late_share")
    }
    steps, going = np.zeros(n), np.ones(n, dtype=bool)
    while going.any():
        actions = policy.act(fleet)
        moved = fleet.step(rng, actions)
        policy.learn(actions, moved, going)
        late = moved.latency > config.reward.sla_threshold
        for name, values in zip(sums, (moved.reward, moved.cost, moved.quality, moved.latency, late), strict=True):
            sums[name] += np.where(going, values, 0.0)
        steps += going
        going &= ~(moved.terminated | moved.truncated)
    for name in ("quality", "latency_s", "late_share"):
        sums[name] /= steps
    return pd.DataFrame({"policy": policy.name, "episode": np.arange(n), "steps": steps.astype(int), **sums})
