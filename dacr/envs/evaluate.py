"""All policies in both games, ``scripts/eval_envs.py``: episodes, means with intervals, and paired differences.

An episode is one independent draw: a policy's state is forgotten between episodes. So intervals are Student's t
over episodes, and two policies are compared on the differences of the episodes that both played. PPO has a
second source of chance, its training: where several networks were trained, the interval is over their means.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin
from dacr.envs import figures
from dacr.envs.episode import Mode
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Policy
from dacr.envs.grader import WEIGHTS
from dacr.envs.play import play, play_fleet
from dacr.envs.policies.make import make_policy
from dacr.envs.ppo import PPOPolicy
from dacr.envs.scenarios import SEED_SETS, scenario, seeds_of
from dacr.metrics.paired import holm, verdicts
from dacr.report.figure import write
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
    from scipy import stats  # here, and matplotlib below: half a second that --help does without

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
    from scipy import stats

    if len(difference) > 1 and np.std(difference) <= 1e-12:
        return float(abs(difference.mean()) <= 1e-12)
    return float(stats.ttest_1samp(difference, 0.0).pvalue) if len(difference) > 1 else float("nan")


_KEYS = ("scenario", "mode", "seed_set")
_VALUES = ("reward", "grader_score", "cost", "bankrupt", *WEIGHTS)


def eval_envs(
    *,
    env: Literal["both", "budget", "fleet"] = "both",
    policies: StrList = StrList(POLICIES),  # noqa: B008
    scenarios: StrList = StrList(SCENARIOS),  # noqa: B008
    seed_sets: StrList = StrList(SEED_SETS),  # noqa: B008
    mode: Literal["faithful", "strict"] | None = None,
    routers: StrList = StrList(ROUTERS),  # noqa: B008
    n_episode: int = 100,
    ppo_dir: str = "results_dacr/ppo",
    output_dir: str = "results_dacr/envs",
    plugin: str = "",
) -> None:
    """Evaluate all policies in both environments: tables with paired statistics, and figures.

    Parameters
    ----------
    env : str
        both, budget (BudgetRouter-v0) or fleet (LLMRouter-v0).
    policies, scenarios, seed_sets : list
        Of the budget router.
    mode : str, optional
        faithful or strict; by default the published scenarios are faithful, their variants strict.
    routers : list
        Routers that play the fleet.
    n_episode : int
        Episodes of each policy in the fleet.
    ppo_dir : str
        Trained networks: SCENARIO/model.zip, and preset_SEED/ or queue_latency_4_SEED/model.zip for the fleet.
        What is not there is left out.
    plugin : str
        Python file that registers further routers.
    """
    if plugin:
        load_plugin(plugin)
    if n_episode < 2:
        raise UserError(f"--n_episode must be at least 2, got {n_episode}")
    for name in seed_sets:
        seeds_of(name)

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    with files.atomic_folder(output_dir) as folder:
        if env in ("both", "budget"):
            episodes = budget_episodes(policies, scenarios, seed_sets, mode, ppo_dir, tell)
            summary = means_table(episodes, (*_KEYS, "policy"), _VALUES)
            _write(episodes, folder / "budget_episodes.csv")
            _write(summary, folder / "budget_summary.csv")
            for value in ("grader_score", "reward"):
                _write(paired_table(episodes, _KEYS, value, REFERENCES), folder / f"budget_paired_{value}.csv")
            for seed_set, part in summary.groupby("seed_set", sort=False):
                title = f"BudgetRouter-v0, seeds {seed_set}: means of {part['n'].iloc[0]} episodes, 95 % intervals"
                write(figures.budget(part, title), folder / f"budget_{seed_set}")
                print(f"\nBudgetRouter-v0, seeds {seed_set}, grade/reward\n\n{_grades(part)}")
        if env in ("both", "fleet"):
            runs = fleet_episodes(n_episode, routers, ppo_dir, tell)
            fleets = fleet_summary(runs)
            _write(runs, folder / "fleet_episodes.csv")
            _write(fleets, folder / "fleet_summary.csv")
            write(figures.fleet(fleets), folder / "fleet")
            for fleet, part in fleets.groupby("fleet", sort=False):
                print(f"\nLLMRouter-v0, {fleet}: means of {n_episode} episodes\n\n{_strategies(part)}")
        config: dict[str, Any] = {"policies": policies, "scenarios": scenarios, "seed_sets": seed_sets, "mode": mode}
        config |= {"routers": routers, "n_episode": n_episode}
        trained = sorted(Path(ppo_dir).glob("*/model.zip")) if Path(ppo_dir).is_dir() else []
        inputs: dict[str, str | Path] = {path.parent.name: path for path in trained}
        files.write_json(folder / "manifest.json", manifest.build("eval_envs", config, inputs))
    print(f"\nwrote {output_dir}")


def _grades(summary: pd.DataFrame) -> str:
    """Return policies x scenarios."""
    cells = summary["grader_score"].map("{:.4f}".format) + "/" + summary["reward"].map("{:.2f}".format)
    wide = summary.assign(cells=cells).pivot(index="policy", columns="scenario", values="cells").fillna("")
    wide = wide.loc[list(dict.fromkeys(summary["policy"])), list(dict.fromkeys(summary["scenario"]))]
    wide.index = [figures.label(name) for name in wide.index]
    return str(wide.rename(columns=lambda name: name.replace("_hard_multi", "")).to_string())


def _strategies(summary: pd.DataFrame) -> str:
    """Return the table of strategies of one fleet."""
    table = pd.DataFrame(
        {
            "strategy": summary["policy"].map(figures.label),
            "mean reward": summary["reward"].map("{:.1f}".format),
            "+-": summary["reward_half"].map("{:.1f}".format),
            "mean cost USD": summary["cost"].map("{:.2f}".format),
            "quality": summary["quality"].map("{:.3f}".format),
            "latency s": summary["latency_s"].map("{:.2f}".format),
            "late %": (100 * summary["late_share"]).map("{:.0f}".format),
        }
    )
    return str(table.to_string(index=False))


def _write(table: pd.DataFrame, target: Path) -> None:
    files.write_text(target, table.to_csv(index=False, float_format="%.6f"))
