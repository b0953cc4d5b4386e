"""A policy of either game by its name."""

from collections.abc import Callable
from functools import partial

from dacr.core.errors import unknown
from dacr.core.registry import routers
from dacr.envs.episode import Mode
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Policy
from dacr.envs.policies.fixed import Heuristic, Oracle, Random, Schedule, parse_schedule
from dacr.envs.policies.router import RouterPolicy
from dacr.envs.ppo import PPOPolicy
from dacr.envs.scenarios import Brief, Scenario
from dacr.envs.scenarios import scenario as read_scenario


def make_policy(
    name: str,
    rules: Scenario | LLMRouterConfig,
    mode: Mode = "faithful",
    *,
    schedule: str = "",
    model_path: str | None = None,
    llm_mode: str | None = None,
) -> Policy:
    """Return a policy by name.

    A name of the registry of routers, or ``router:NAME`` where a policy has the same name, plays that router.

    Parameters
    ----------
    schedule : str
        For ``open_loop``; by default the scenario's own.
    model_path : str or None
        For ``ppo``: the ``model.zip`` of ``scripts/train_ppo.py``.
    llm_mode : str or None
        Prompt mode of ``llm``; by default from the environment variable LLM_POLICY_MODE.

    Raises
    ------
    UserError
        No such name, or something that the policy needs is missing.
    """
    known: dict[str, Callable[[], Policy]] = {
        "random": Random,
        "round_robin": lambda: Schedule("round_robin", range(rules.n_model)),
        "ppo": lambda: PPOPolicy(rules, model_path),
        **{f"always_{arm}": partial(Schedule, f"always_{arm}", [i]) for i, arm in enumerate(rules.arms)},
        **{f"router:{router}": partial(RouterPolicy, router, rules) for router in routers.names()},
    }
    if isinstance(rules, Scenario):
        brief = rules.brief()
        known |= {
            "heuristic": Heuristic,
            "oracle": lambda: Oracle(strict=mode == "strict"),
            "open_loop": lambda: Schedule("open_loop", parse_schedule(brief, schedule or rules.schedule)),
            # What was made for the scenario without its variant.
            "open_loop_base": lambda: Schedule("open_loop", parse_schedule(brief, read_scenario(rules.base).schedule)),
            "llm": partial(_llm, brief, llm_mode),
        }
    make = known.get(name) or known.get(f"router:{name}")
    if make is None:
        raise unknown("unknown policy", name, known)
    return make()


def _llm(brief: Brief, mode: str | None) -> Policy:
    from dacr.envs.policies.llm import LLMPolicy, Settings  # here: its client takes longer to import than all others

    return LLMPolicy(brief, Settings.from_environment(mode=mode))
