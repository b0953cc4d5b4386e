"""All policies in both games: what each episode gave, means with intervals, and paired differences.

An episode is one independent draw: a policy's state is forgotten between episodes. So intervals are Student's t
over episodes, and two policies are compared on the differences of the episodes that both played. PPO has a
second source of chance, its training: where several networks were trained, the interval is over their means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dacr.envs.episode import Mode
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Policy
from dacr.envs.play import play, play_fleet
from dacr.envs.policies.make import make_policy
from dacr.envs.policies.ppo import PPOPolicy
from dacr.envs.scenarios import scenario, seeds_of
from dacr.metrics.paired import holm, verdicts
from dacr.types import Floats

POLICIES = (
    "heuristic", "open_loop", "open_loop_base", "oracle", "random", "round_robin", "always_a", "always_b",
    "always_shed", "ppo", "router:dacr", "router:dacr_eq9", "router:predict_optimize", "router:joint_ranker",
    "router:best_single", "router:cascade",
)  # fmt: skip
SCENARIOS = ("easy", "medium", "hard", "hard_multi", "shuffled_hard_multi", "flapping_hard_multi")
REFERENCES = ("heuristic", "open_loop", "open_loop_base")
LARGE = "heldout_100"
"""This seed set is played in the variants alone: the published figures are means over ten seeds."""
FLEETS = {"preset": LLMRouterConfig(), "queue_latency_4": LLMRouterConfig(queue_latency=4.0)}
ROUTERS = ("dacr", "predict_optimize", "best_single", "joint_ranker")
VALUES = ("reward", "cost", "quality", "latency_s", "late_share")
_LEVEL = 0.95
_SEED = 7_000


def budget_episodes(
    policies: Sequence[str],
    scenarios: Sequence[str],
    seed_sets: Sequence[str],
    mode: Mode | None = None,
    ppo_dir: str | Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Play the budget router; return one row per scenario, seed set, policy and seed.

    Without ``mode`` the published scenarios are graded faithfully and the variants strictly.
    ``ppo`` is played where ``ppo_dir`` holds ``SCENARIO/model.zip``, and left out elsewhere.
    """
    seeds = {name: seeds_of(name) for name in seed_sets}
    rows = []
    for chosen in map(scenario, scenarios):
        graded: Mode = mode or ("faithful" if chosen.variant is None else "strict")
        for name in policies:
            network = Path(ppo_dir or "") / chosen.name / "model.zip"
            if (name == "ppo" and not network.is_file()) or (name == "open_loop_base" and chosen.variant is None):
                tick(f"{chosen.name}: no {name} for it, left out")
                continue
            policy = make_policy(name, chosen, graded, model_path=str(network))
            for seed_set in (s for s in seeds if s != LARGE or chosen.variant is not None):
                about: dict[str, Any] = {"scenario": chosen.name, "mode": graded, "seed_set": seed_set, "policy": name}
                about |= {"clairvoyant": policy.clairvoyant}
                for one in (play(chosen, policy, seed, graded) for seed in seeds[seed_set]):
                    parts = {part: value for part, value in asdict(one.grade).items() if part != "score"}
                    rows.append({**about, "seed": one.seed, **one.summary(), **parts, "bankrupt": one.bankrupt})
            tick(f"{chosen.name}: {name}")
    return pd.DataFrame(rows)


def fleet_episodes(
    n: int,
    router_names: Sequence[str],
    ppo_dir: str | Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Play ``n`` episodes of each policy in each fleet; PPO networks are ``FLEET_SEED/model.zip`` in ``ppo_dir``.

    Returns
    -------
    DataFrame
        As :func:`~dacr.envs.play.play_fleet`, with fleet, clairvoyant and network (the seed of a PPO training).
    """
    parts = []
    for fleet, config in FLEETS.items():
        plain = [*(f"always_{arm}" for arm in config.arms), "round_robin", "random"]
        policies: list[tuple[str, Policy]] = [("", make_policy(name, config)) for name in plain]
        for path in sorted(Path(ppo_dir).glob(f"{fleet}_*/model.zip")) if ppo_dir else []:
            policies.append((path.parent.name.rsplit("_", 1)[1], PPOPolicy(config, str(path))))
        policies += [("", make_policy(f"router:{name}", config)) for name in router_names]
        for network, policy in policies:
            played = play_fleet(config, policy, n, _SEED)
            parts.append(played.assign(fleet=fleet, clairvoyant=policy.clairvoyant, network=network))
            tick(f"{fleet}: {policy.name} {network}".rstrip())
    return pd.concat(parts, ignore_index=True)


def half_width(values: Floats) -> float:
    """Return half the width of the 95 % t interval of a mean; NaN for fewer than two values."""
    n = len(values)
    if n < 2:
        return float("nan")
    return float(stats.t.ppf(0.5 + _LEVEL / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def means_table(episodes: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Return n, and mean and half-width (``VALUE_half``) of each value, for each group of ``keys``."""
    named: dict[str, Any] = {"n": (values[0], "size")}
    for value in values:
        named |= {value: (value, "mean"), f"{value}_half": (value, lambda part: half_width(part.to_numpy(dtype=float)))}
    return episodes.groupby(list(keys), sort=False).agg(**named).reset_index()


def fleet_summary(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return means with half-widths, best reward first; of several networks the interval is over their means."""
    table = means_table(episodes, ("fleet", "policy"), VALUES)
    trained = episodes.groupby(["fleet", "policy", "network"], sort=False)[list(VALUES)].mean().reset_index()
    several = trained[trained.duplicated(["fleet", "policy"], keep=False)]
    if len(several):
        table = table.set_index(["fleet", "policy"])
        table.update(means_table(several, ("fleet", "policy"), VALUES).set_index(["fleet", "policy"]))
        table = table.reset_index()
    place = table["fleet"].map({fleet: i for i, fleet in enumerate(FLEETS)})
    table = table.assign(place=place).sort_values(["place", "reward"], ascending=[True, False], ignore_index=True)
    return table.drop(columns="place")


def paired_table(episodes: pd.DataFrame, keys: Sequence[str], value: str, references: Sequence[str]) -> pd.DataFrame:
    """Compare every policy with each reference on the same episodes, within each group of ``keys``.

    Returns
    -------
    DataFrame
        keys, policy, reference, n, difference (policy - reference), half (of the 95 % interval), p (paired
        t), p_holm (over all rows of the group), verdict: win, loss or tie of the policy at 5 %, after Holm.
    """
    out = []
    for names, part in episodes.groupby(list(keys), sort=False):
        wide = part.pivot(index="seed", columns="policy", values=value)
        pairs = [(p, r) for r in references if r in wide for p in wide if p != r]
        differences = [(wide[p] - wide[r]).dropna().to_numpy(dtype=float) for p, r in pairs]
        table = pd.DataFrame(pairs, columns=["policy", "reference"]).assign(
            **dict(zip(keys, names, strict=True)),
            n=[len(d) for d in differences],
            difference=[d.mean() for d in differences],
            half=[half_width(d) for d in differences],
            p=[_p(d) for d in differences],
        )
        table["p_holm"] = holm(table["p"])
        table["verdict"] = verdicts(table["difference"].to_numpy(), table["p_holm"].to_numpy(), True, 1 - _LEVEL)
        out.append(table)
    return pd.concat(out, ignore_index=True)


def _p(difference: Floats) -> float:
    """Two-sided p of the paired t test; equal episodes throughout are a tie."""
    if len(difference) > 1 and np.std(difference) <= 1e-12:
        return float(abs(difference.mean()) <= 1e-12)
    return float(stats.ttest_1samp(difference, 0.0).pvalue) if len(difference) > 1 else float("nan")
