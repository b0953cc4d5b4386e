"""The stage behind ``scripts/eval_envs.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.envs.document import write_document
from dacr.envs.eval_budget import PARTS, POLICIES, REFERENCES, SCENARIOS, budget_episodes
from dacr.envs.eval_figure import draw
from dacr.envs.eval_fleet import ROUTERS, fleet_episodes, fleet_summary
from dacr.envs.eval_stats import means_table, paired_table
from dacr.envs.scenarios import SEED_SETS

_KEYS = ("scenario", "mode", "seed_set")


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
    doc: str | None = None,
) -> None:
    """Evaluate all policies in both environments: tables with paired statistics, and a figure.

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
    doc : str, optional
        Markdown page to write from the results.
    """
    if n_episode < 2:
        raise UserError(f"--n_episode must be at least 2, got {n_episode}")
    unknown = [name for name in seed_sets if name not in SEED_SETS]
    if unknown:
        raise UserError(f"unknown seed set {unknown[0]!r}; expected some of {', '.join(SEED_SETS)}")
    if doc and env != "both":
        raise UserError("--doc needs the results of both environments: leave out --env")

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    with files.atomic_folder(output_dir) as folder:
        if env in ("both", "budget"):
            episodes = budget_episodes(policies, scenarios, seed_sets, mode, ppo_dir, tell)
            summary = means_table(episodes, (*_KEYS, "policy"), ("reward", "grader_score", "cost", "bankrupt", *PARTS))
            _write(episodes, folder / "budget_episodes.csv")
            _write(summary, folder / "budget_summary.csv")
            for value in ("grader_score", "reward"):
                _write(paired_table(episodes, _KEYS, value, REFERENCES), folder / f"budget_paired_{value}.csv")
            _figures(summary, folder)
        if env in ("both", "fleet"):
            runs = fleet_episodes(n_episode, routers, ppo_dir, tell)
            _write(runs, folder / "fleet_episodes.csv")
            _write(fleet_summary(runs), folder / "fleet_summary.csv")
        config: dict[str, Any] = {"policies": policies, "scenarios": scenarios, "seed_sets": seed_sets, "mode": mode}
        config |= {"routers": routers, "n_episode": n_episode}
        trained = sorted(Path(ppo_dir).glob("*/model.zip")) if Path(ppo_dir).is_dir() else []
        inputs: dict[str, str | Path] = {path.parent.name: path for path in trained}
        files.write_json(folder / "manifest.json", manifest.build("eval_envs", config, inputs))
    if doc:
        write_document(output_dir, doc)
    print(f"wrote {output_dir}" + (f" and {doc}" if doc else ""))


def _figures(summary: pd.DataFrame, folder: Path) -> None:
    for seed_set, part in summary.groupby("seed_set", sort=False):
        n = int(part["n"].iloc[0])
        figure = draw(part, f"BudgetRouter-v0, seeds {seed_set}: means of {n} episodes and 95 % intervals")
        for suffix in ("png", "pdf"):
            with files.atomic_path(folder / f"budget_{seed_set}.{suffix}") as path:
                figure.savefig(path, format=suffix, metadata={"CreationDate": None} if suffix == "pdf" else None)


def _write(table: pd.DataFrame, target: Path) -> None:
    with files.atomic_path(target) as path:
        table.to_csv(path, index=False, float_format="%.6f")
