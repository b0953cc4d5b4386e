"""The stage behind ``scripts/train_ppo.py``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.envs import BUDGET_ROUTER, LLM_ROUTER
from dacr.envs.ppo import BATCH, NETWORK, Training, train
from dacr.report import style


def train_ppo(
    *,
    env: str = LLM_ROUTER,
    total_timesteps: int = 100_000,
    output_dir: str = "results_dacr/ppo",
    seed: int = 0,
    scenario: str = "hard_multi",
    mode: str = "faithful",
    queue_latency: float = 0.0,
    quality_required: bool = False,
    data: str | None = None,
    entropy: float = 0.01,
    checkpoint_every: int = 10_240,
    resume: bool = False,
) -> None:
    """Train PPO in one of the environments; write its learning curve (CSV and figure), checkpoints and the model.

    Parameters
    ----------
    env : str
        LLMRouter-v0 or BudgetRouter-v0.
    scenario, mode : str
        Of BudgetRouter-v0.
    queue_latency, quality_required, data
        Of LLMRouter-v0.
    checkpoint_every : int
        Steps between checkpoints, each with an evaluation on fixed episodes.
    resume : bool
        Go on from the newest checkpoint in output_dir; the curve is the same as without the stop.
    """
    if env not in BATCH:
        raise UserError(f"unknown --env {env!r}; expected {LLM_ROUTER} or {BUDGET_ROUTER}")
    if total_timesteps < 1 or checkpoint_every < 1:
        raise UserError("--total_timesteps and --checkpoint_every must be at least 1")
    settings: dict[str, Any] = {"scenario": scenario, "mode": mode}
    if env == LLM_ROUTER:
        settings = {"data": data} if data else {"queue_latency": queue_latency, "quality_required": quality_required}
    run = Training(env, settings, total_timesteps, seed, entropy=entropy, segment=checkpoint_every)
    folder = files.make_folder(output_dir)

    def tell(steps: int, reward: float) -> None:
        print(f"{steps:>9,} steps  mean reward {reward:10.3f}", file=sys.stderr)

    curve = train(run, folder, resume, tell)
    figure = draw_curve(curve, f"PPO on {env}", _told(settings, seed))
    for suffix in ("png", "pdf"):
        with files.atomic_path(folder / f"curve.{suffix}") as path:
            figure.savefig(path, format=suffix, metadata={"CreationDate": None} if suffix == "pdf" else None)
    config = {"env": env, "env_settings": settings, "seed": seed, "entropy": entropy, "batch_size": BATCH[env]}
    config |= {**NETWORK, "total_timesteps": total_timesteps, "checkpoint_every": checkpoint_every}
    inputs: dict[str, str | Path] = {"data": data} if data else {}
    files.write_json(folder / "manifest.json", manifest.build("train_ppo", config, inputs))
    print(f"wrote {folder}/model.zip, curve.csv, curve.png, checkpoints/")


def draw_curve(curve: pd.DataFrame, title: str, setting: str) -> Figure:
    """Draw the mean reward of evaluation episodes against training steps, with one sd of episodes as a band."""
    with style.paper():
        figure = Figure(figsize=(style.COLUMN_IN, 2.3), layout="constrained")
        axes = figure.add_subplot()
        x, y, sd = (curve[name].to_numpy(dtype=float) for name in ("timesteps", "mean_reward", "sd_reward"))
        axes.fill_between(x / 1000, y - sd, y + sd, color=style.SKY, alpha=0.3, linewidth=0, label="± 1 sd of episodes")
        axes.plot(x / 1000, y, color=style.BLUE, marker="o", label="mean reward of an episode")
        if len(y) > 2 and y[0] < y[1:].min():  # an untrained network may be so bad that nothing else could be seen
            low, high = float((y - sd)[1:].min()), float((y + sd)[1:].max())
            axes.set_ylim(low - 0.15 * (high - low), high + 0.08 * (high - low))
            axes.text(0.02, 0.03, f"untrained: {y[0]:.4g}", transform=axes.transAxes, fontsize=6, color=style.GREY)
        axes.set_xlabel("training steps (thousands)")
        axes.set_ylabel("reward per episode")
        figure.suptitle(title, x=0.02, ha="left", fontsize=8, fontweight="bold")
        axes.set_title(setting, fontsize=6.2, fontweight="normal", color="#555555")
        axes.legend(loc="lower right")
    return figure


def _told(settings: Mapping[str, Any], seed: int) -> str:
    words = [f"{key} {Path(value).name if key == 'data' else value}" for key, value in settings.items() if value]
    return ", ".join([*words, f"seed {seed}"])
