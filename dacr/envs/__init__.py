"""Gymnasium environments where routers are trained and graded; importing this package registers them."""

from __future__ import annotations

import gymnasium as gym

BUDGET_ROUTER = "BudgetRouter-v0"
LLM_ROUTER = "LLMRouter-v0"

if BUDGET_ROUTER not in gym.registry:
    gym.register(id=BUDGET_ROUTER, entry_point="dacr.envs.budget_router:BudgetRouterEnv")
if LLM_ROUTER not in gym.registry:
    gym.register(
        id=LLM_ROUTER,
        entry_point="dacr.envs.llm_router:LLMRouterEnv",
        vector_entry_point="dacr.envs.llm_vector:LLMRouterVectorEnv",
    )
