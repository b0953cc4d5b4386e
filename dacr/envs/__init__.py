"""Gymnasium environments where routers are trained and graded; importing this package registers them."""

from typing import TYPE_CHECKING, Any

import gymnasium as gym

if TYPE_CHECKING:
    from dacr.envs.budget_router import BudgetRouterEnv
    from dacr.envs.fleet_config import ModelConfig, RewardConfig
    from dacr.envs.llm_router import LLMRouterEnv

BUDGET_ROUTER = "BudgetRouter-v0"
LLM_ROUTER = "LLMRouter-v0"
_HOMES = {
    "BudgetRouterEnv": "budget_router", "LLMRouterEnv": "llm_router", "ModelConfig": "fleet_config",
    "RewardConfig": "fleet_config",
}  # fmt: skip
__all__ = ["BUDGET_ROUTER", "LLM_ROUTER", "BudgetRouterEnv", "LLMRouterEnv", "ModelConfig", "RewardConfig"]

if BUDGET_ROUTER not in gym.registry:
    gym.register(id=BUDGET_ROUTER, entry_point="dacr.envs.budget_router:BudgetRouterEnv")
if LLM_ROUTER not in gym.registry:
    gym.register(
        id=LLM_ROUTER,
        entry_point="dacr.envs.llm_router:LLMRouterEnv",
        vector_entry_point="dacr.envs.llm_router:LLMRouterVectorEnv",
    )


def __getattr__(name: str) -> Any:
    """Import a class when it is first asked for: registering the environments needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
