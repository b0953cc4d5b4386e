"""A policy of either game by its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.envs.episode import Mode
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Policy
from dacr.envs.policies.fixed import Always, Heuristic, OpenLoop, Oracle, Random, RoundRobin
from dacr.envs.policies.llm import LLMPolicy, Settings
from dacr.envs.policies.ppo import PPOPolicy
from dacr.envs.policies.router import RouterPolicy
from dacr.envs.scenarios import Scenario
from dacr.envs.scenarios import scenario as read_scenario

Rules = Scenario | LLMRouterConfig


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


def make_policy(name: str, rules: Rules, mode: Mode = "faithful", options: Options | None = None) -> Policy:
    """Return a policy by name.

    A name of the registry of routers, or ``router:NAME`` where a policy has the same name, plays that router.

    Raises
    ------
    UserError
        No such name, or something that the policy needs is missing.
    """
    known = _makers(rules, mode, options or Options())
    make = known.get(name) or known.get(f"router:{name}")
    if make is None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise UserError(f"unknown policy {name!r}; did you mean {near!r}? known: {', '.join(known)}")
    return make()


def policy_names(rules: Rules) -> list[str]:
    """Return all names that :func:`make_policy` knows."""
    return list(_makers(rules, "faithful", Options()))


def _makers(rules: Rules, mode: Mode, options: Options) -> dict[str, Callable[[], Policy]]:
    makers: dict[str, Callable[[], Policy]] = {"random": Random, "round_robin": RoundRobin}
    makers["ppo"] = lambda: PPOPolicy(rules, options.model_path)
    if isinstance(rules, Scenario):
        brief = rules.brief()
        makers |= {
            "heuristic": Heuristic,
            "oracle": lambda: Oracle(strict=mode == "strict"),
            "open_loop": lambda: OpenLoop(brief, options.schedule or rules.schedule),
            # What was made for the scenario without its variant.
            "open_loop_base": lambda: OpenLoop(brief, read_scenario(rules.base).schedule),
            "llm": lambda: LLMPolicy(brief, Settings.from_environment(mode=options.llm_mode)),
        }
    makers |= {f"always_{arm}": partial(Always, arm, i) for i, arm in enumerate(rules.arms)}
    return makers | {f"router:{name}": partial(RouterPolicy, name, rules) for name in routers.names()}
