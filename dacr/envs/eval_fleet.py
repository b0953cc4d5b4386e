"""All policies of ``LLMRouter-v0``, on the preset fleet and where queues matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.envs.eval_stats import half_width
from dacr.envs.fleet_play import Constant, FleetPolicy, PPOFleet, RandomModel, RoundRobin, RouterFleet, play_fleet
from dacr.envs.llm_config import LLMRouterConfig

FLEETS = {"preset": LLMRouterConfig(), "queue_latency_4": LLMRouterConfig(queue_latency=4.0)}
ROUTERS = ("dacr", "predict_optimize", "best_single", "joint_ranker")
_SEED = 7_000
VALUES = ("reward", "cost", "quality", "latency_s", "late_share")


def fleet_episodes(
    n: int,
    router_names: Sequence[str],
    ppo_dir: str | Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Play ``n`` episodes of each policy in each fleet; PPO networks are ``FLEET_SEED/model.zip`` in ``ppo_dir``."""
    parts = []
    for fleet, config in FLEETS.items():
        policies: list[FleetPolicy] = [Constant(config, arm) for arm in range(len(config.models))]
        policies += [RoundRobin(), RandomModel()]
        trained = sorted(Path(ppo_dir).glob(f"{fleet}_*/model.zip")) if ppo_dir else []
        policies += [PPOFleet(str(path), f"ppo {path.parent.name.rsplit('_', 1)[1]}") for path in trained]
        policies += [RouterFleet(name, config) for name in router_names]
        for policy in policies:
            parts.append(play_fleet(config, policy, n, _SEED).assign(fleet=fleet, clairvoyant=policy.clairvoyant))
            tick(f"{fleet}: {policy.name}")
    return pd.concat(parts, ignore_index=True)


def fleet_summary(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return means with 95 % half-widths; one row "ppo" for all trained networks, its interval over networks."""
    rows = []
    for (fleet, policy), part in episodes.groupby(["fleet", "policy"], sort=False):
        row = {"fleet": fleet, "policy": policy, "n": len(part)}
        rows.append(row | {v: float(part[v].mean()) for v in VALUES} | {"half": half_width(part["reward"].to_numpy())})
    table = pd.DataFrame(rows)
    merged = []
    for fleet, part in table.groupby("fleet", sort=False):
        networks = part[part["policy"].str.startswith("ppo ")]
        if len(networks):
            mean = {v: float(networks[v].mean()) for v in VALUES}
            half = half_width(networks["reward"].to_numpy())
            merged.append({"fleet": fleet, "policy": "ppo", "n": len(networks), **mean, "half": half})
    return pd.concat([table, pd.DataFrame(merged)], ignore_index=True) if merged else table


def saving_at_equal_quality(summary: pd.DataFrame, fleet: str, policy: str = "ppo") -> tuple[float, float]:
    """Return what a policy costs, and what a mixture of constants of the same mean quality costs, in USD an episode.

    The mixture is the cheapest one, on the lower hull of (quality, cost per step) of the constant models.
    """
    part = summary[summary["fleet"] == fleet].set_index("policy")
    own = part.loc[policy]
    constants = FLEETS[fleet].models
    quality = np.array([float(part.loc[f"always_{m.name}", "quality"]) for m in constants])
    cost = np.array([m.cost_per_call for m in constants]) * FLEETS[fleet].episode_length
    best = np.inf
    for i in range(len(cost)):
        for j in range(len(cost)):
            low, high = quality[i], quality[j]
            if low <= own["quality"] <= high:
                share = 0.0 if high == low else (own["quality"] - low) / (high - low)
                best = min(best, cost[i] + share * (cost[j] - cost[i]))
    return float(own["cost"]), float(best)
