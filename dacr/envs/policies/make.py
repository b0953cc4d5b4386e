"""A policy of the budget router by its name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.envs.episode import Mode
from dacr.envs.policies.base import Policy
from dacr.envs.policies.fixed import Always, Heuristic, OpenLoop, Oracle, Random
from dacr.envs.scenarios import Scenario
from dacr.envs.scenarios import scenario as read_scenario

PLAIN = ("heuristic", "oracle", "random", "open_loop", "open_loop_base", "llm", "ppo")


@dataclass(frozen=True)
class Options:
    """What some policies need besides their name.

    Attributes
    ----------
    schedule : str
        For ``open_loop``; by default the scenario's own.
    model_path : str or None
        For ``ppo``: the ``model.zip`` of ``scripts/train_ppo.py``.
    llm_mode : str or None
        Prompt mode of ``llm``; by default from the environment variable LLM_POLICY_MODE.
    """

    schedule: str = ""
    model_path: str | None = None
    llm_mode: str | None = None


def policy_names(scenario: Scenario) -> list[str]:
    """Return all names that :func:`make_policy` knows."""
    always = [f"always_{action.removeprefix('route_to_').removesuffix('_load')}" for action in scenario.actions]
    return [*PLAIN, *always, *(f"router:{name}" for name in routers.names())]


def make_policy(name: str, scenario: Scenario, mode: Mode = "faithful", options: Options | None = None) -> Policy:
    """Return a policy by name.

    A name of the registry of routers, or ``router:NAME`` where a policy has the same name, plays that
    router through :mod:`dacr.envs.adapter`.

    Raises
    ------
    UserError
        No such name, or something that the policy needs is missing.
    """
    options = options or Options()
    brief = scenario.brief()
    if name == "heuristic":
        return Heuristic(brief)
    if name == "oracle":
        return Oracle(brief, mode)
    if name == "random":
        return Random(brief)
    if name == "open_loop":
        return OpenLoop(brief, options.schedule or scenario.schedule)
    if name == "open_loop_base":  # what was made for the scenario without its variant
        return OpenLoop(brief, read_scenario(scenario.base).schedule)
    if name == "llm":
        from dacr.envs.policies.llm import LLMPolicy, Settings

        return LLMPolicy(brief, Settings.from_environment(mode=options.llm_mode))
    if name == "ppo":
        from dacr.envs.policies.ppo import PPOPolicy

        if not options.model_path:
            raise UserError("--policy ppo needs --model_path, the model.zip that scripts/train_ppo.py writes")
        return PPOPolicy(brief, options.model_path)
    for action, label in enumerate(scenario.actions):
        if name == f"always_{label.removeprefix('route_to_').removesuffix('_load')}":
            return Always(brief, action)
    router = name.removeprefix("router:")
    if router in routers.names():
        from dacr.envs.adapter import RouterPolicy

        return RouterPolicy.fitted(router, scenario)
    known = policy_names(scenario)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise UserError(f"unknown policy {name!r}; did you mean {near!r}? known: {', '.join(known)}")
