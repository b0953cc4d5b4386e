"""The stage behind ``scripts/eval_envs.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin
from dacr.envs import figures
from dacr.envs.evaluate import (
    POLICIES,
    REFERENCES,
    ROUTERS,
    SCENARIOS,
    budget_episodes,
    fleet_episodes,
    fleet_summary,
    means_table,
    paired_table,
)  # fmt: skip
from dacr.envs.grader import WEIGHTS
from dacr.envs.scenarios import SEED_SETS, seeds_of
from dacr.report.figure import write

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
