"""All policies x scenarios x seed sets of ``BudgetRouter-v0``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from dacr.core.errors import UserError
from dacr.envs.episode import Mode
from dacr.envs.play import play
from dacr.envs.policies.make import Options, make_policy
from dacr.envs.scenarios import SEED_SETS, Scenario, scenario

POLICIES = (
    "heuristic",
    "open_loop",
    "open_loop_base",
    "oracle",
    "random",
    "always_a",
    "always_b",
    "always_shed",
    "ppo",
    "router:dacr",
    "router:dacr_eq9",
    "router:predict_optimize",
    "router:joint_ranker",
    "router:best_single",
    "router:cascade",
)
SCENARIOS = ("easy", "medium", "hard", "hard_multi", "shuffled_hard_multi", "flapping_hard_multi")
REFERENCES = ("heuristic", "open_loop", "open_loop_base")
LARGE = "heldout_100"
"""This seed set is played in the variants alone: the published figures are means over ten seeds."""
PARTS = ("success", "latency", "budget", "sla", "adaptation")


def budget_episodes(
    policies: Sequence[str],
    scenarios: Sequence[str],
    seed_sets: Sequence[str],
    mode: Mode | None = None,
    ppo_dir: str | Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Play everything; return one row per scenario, seed set, policy and seed.

    Without ``mode`` the published scenarios are graded faithfully and the variants strictly.
    ``ppo`` is played where ``ppo_dir`` holds ``SCENARIO/model.zip``, and left out elsewhere.
    """
    for name in seed_sets:
        if name not in SEED_SETS:
            raise UserError(f"unknown seed set {name!r}; expected some of {', '.join(SEED_SETS)}")
    rows = []
    for scenario_name in scenarios:
        chosen = scenario(scenario_name)
        graded: Mode = mode or ("faithful" if chosen.variant is None else "strict")
        sets = [name for name in seed_sets if name != LARGE or chosen.variant is not None]
        for policy_name in policies:
            options = _options(policy_name, chosen, ppo_dir)
            if options is None:
                tick(f"{scenario_name}: no trained model for ppo, left out")
                continue
            policy = make_policy(policy_name, chosen, graded, options)
            for seed_set in sets:
                for seed in SEED_SETS[seed_set]:
                    one = play(chosen, policy, seed, graded)
                    rows.append(
                        {
                            "scenario": chosen.name,
                            "mode": graded,
                            "seed_set": seed_set,
                            "policy": policy_name,
                            "clairvoyant": policy.clairvoyant,
                            "seed": seed,
                            **one.summary(),
                            **{part: getattr(one.grade, part) for part in PARTS},
                            "bankrupt": one.bankrupt,
                        }
                    )
            tick(f"{scenario_name}: {policy_name}")
    return pd.DataFrame(rows)


def _options(policy: str, chosen: Scenario, ppo_dir: str | Path | None) -> Options | None:
    """Return what a policy needs, or None where it does not apply here."""
    if policy == "open_loop_base" and chosen.variant is None:
        return None
    if policy != "ppo":
        return Options()
    path = Path(ppo_dir) / chosen.name / "model.zip" if ppo_dir else None
    return Options(model_path=str(path)) if path is not None and path.is_file() else None
