"""Every router of the project as a player of both environments.

The router stays as it is: it gets estimates, says which model next, may reject an answer, and learns from
feedback. The adapter makes the estimates (:mod:`dacr.envs.outlook`), enforces the money that is left, and
turns what a step showed into feedback. Prices of a dollar and of a late answer are not tuned: they are what
the grader, or the reward, pays for them in units of one success.
"""

from __future__ import annotations

import inspect

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import seed_for
from dacr.envs.episode import Episode
from dacr.envs.experience import budget_experience, budget_features
from dacr.envs.grader import WEIGHTS
from dacr.envs.health import HealthFilter
from dacr.envs.outlook import Experience, Outlook, cues_of
from dacr.envs.policies.base import Answer, Policy, Seen
from dacr.envs.scenarios import Brief, Scenario
from dacr.routers.base import Router, Terms
from dacr.types import SHED, Attempts, Estimates, Feedback, Outcomes


class RouterPlayer:
    """One router and its estimates, playing decision by decision; state lasts for one episode.

    Parameters
    ----------
    prices : dict
        Constructor arguments that the router gets where it takes them: lambda_cost, lambda_late.
    """

    def __init__(self, router_name: str, experience: Experience, prices: dict[str, float]) -> None:
        make = routers.get(router_name)
        accepted = inspect.signature(make.__init__).parameters
        self.router: Router = make(**{name: value for name, value in prices.items() if name in accepted})
        self.outlook = Outlook(self.router, experience)
        self.router.fit(self.outlook.training())
        self._domains = 1

    def reset(self, name: str) -> None:
        """Begin an episode: learners forget."""
        seed = seed_for("environment", self.router.name, name)
        if self.router.learns:
            self.router.start(1, self._domains, np.array([seed], dtype=np.uint64))
        else:
            self.router.seed = seed % 2**63
        self._tried: list[Attempts] = []
        self._name, self._t = name, 0
        self._chosen: tuple[Estimates, int, float] | None = None

    def choose(self, requests: Estimates, left_usd: float, remaining: int) -> int:
        """Return a model, or ``SHED``.

        A model is open if after it the money still pays the cheapest model for each of the other
        ``remaining`` steps; none that would take the last of the money is ever called.
        """
        cost = requests.cost_hat
        affordable = cost < left_usd - 1e-9
        provident = affordable & (cost + (remaining - 1) * cost.min() < left_usd - 1e-9)
        is_open = provident if provident.any() else affordable
        model, propensity = SHED, 1.0
        if affordable.any() and self.router.several_attempts:
            model = int(self.router.propose(requests, self._tried)[0])
            if model == SHED and self._tried:  # the chain is at its end: the next request starts anew
                self._tried = []
                model = int(self.router.propose(requests, [])[0])
            if model != SHED and not is_open[0, model]:
                model = int(cost[0].argmin())
        elif affordable.any():
            free = np.zeros((1, 1))
            choice = self.router.decide(requests, Terms(free, free, is_open=lambda beliefs: is_open))
            model, propensity = int(choice.model[0]), float(choice.propensity[0])
        self._chosen = (requests, model, propensity)
        return model

    def observe(
        self, quality: float, failed: bool, cost_usd: float, latency_s: float, late: bool, truth: Outcomes | None = None
    ) -> None:
        """Take what the last choice gave: feedback for learners, an attempt for those that may reject it."""
        assert self._chosen is not None
        requests, model, propensity = self._chosen
        self._t += 1
        if model == SHED:
            return
        run = np.zeros(1, dtype=np.int64)
        if self.router.several_attempts:
            seen = Attempts(np.array([model]), np.array([cost_usd]), np.array([latency_s]), cues_of(np.array([failed])))
            # Each step is one call: a rejected answer is tried again by the next step.
            self._tried = [] if bool(self.router.accept(requests, seen)[0]) else [*self._tried, seen]
        if self.router.learns:
            self.router.observe(
                Feedback(
                    run=run,
                    t=np.array([self._t - 1]),
                    requests=requests,
                    model=np.array([model]),
                    propensity=np.array([propensity]),
                    cost_usd=np.array([cost_usd]),
                    late=np.array([float(late)]),
                    quality=np.array([quality]),
                    all_outcomes=truth if self.router.full_information else None,
                )
            )


class RouterPolicy(Policy):
    """A router of the project in ``BudgetRouter-v0``."""

    def __init__(self, brief: Brief, router_name: str, health: HealthFilter, experience: Experience) -> None:
        super().__init__(brief)
        self.name = f"router:{router_name}"
        self._health = health
        self._player = RouterPlayer(router_name, experience, grader_prices(brief))
        router = self._player.router
        self.clairvoyant = router.clairvoyant or router.full_information  # type: ignore[misc]
        self._episode: Episode | None = None

    @classmethod
    def fitted(cls, router_name: str, scenario: Scenario) -> RouterPolicy:
        """Fit a registered router on training episodes of a scenario."""
        health, experience = budget_experience(scenario)
        return cls(scenario.brief(), router_name, health, experience)

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._health.reset()
        self._seed, self._number = seed, 0
        self._player.reset(f"{self.brief.scenario}/{seed}")

    def peek(self, episode: Episode) -> None:
        """Keep the episode in view: clairvoyant references are told the true reliabilities."""
        self._episode = episode

    def act(self, observation: tuple[float, ...]) -> Answer:
        """Ask the router."""
        self._number += 1
        belief = self._health.predict()
        key = f"{self.brief.scenario}/{self._seed}/{self._number}"
        requests = self._player.outlook.now(budget_features(observation, belief)[None, :], belief[None, :], key)
        if self._player.router.clairvoyant and self._episode is not None:
            health = np.clip(np.array([self._episode.hidden.health]), 0.0, 1.0)
            requests = requests.with_(p=health, p_raw=health)
        left_usd = observation[self.brief.shed] * self.brief.budget_usd
        model = self._player.choose(requests, left_usd, self.brief.horizon - self._number + 1)
        return Answer(self.brief.shed if model == SHED else model)

    def learn(self, seen: Seen) -> None:
        """Move the belief, and give the router its feedback."""
        routed = seen.action != self.brief.shed
        self._health.update(seen.action if routed else None, seen.success)
        late = seen.latency_ms > self.brief.sla_ms
        truth = None
        if self._player.router.full_information and self._episode is not None:
            health = np.clip(np.array([self._episode.hidden.health]), 0.0, 1.0)
            price = np.array([[provider.cost_usd for provider in self.brief.providers]])
            truth = Outcomes(health, price, np.full_like(health, np.nan), np.zeros(health.shape, dtype=bool))
        quality = float(seen.success)
        self._player.observe(quality, not seen.success, seen.cost_usd, seen.latency_ms / 1000, late, truth)


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
