"""Train PPO in either environment: checkpoints, exact resume, evaluation on fixed episodes.

Training is cut into segments. At the start of each, all generators are seeded by (seed, steps so far) and
the environments are reset, so a run that was stopped and resumed gives the same curve as one that was not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd

import dacr.envs
from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.rng import seed_for
from dacr.envs.budget_router import BudgetRouterEnv

NETWORK = {"n_steps": 512, "n_epochs": 10, "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 3e-4}
BATCH = {dacr.envs.BUDGET_ROUTER: 64, dacr.envs.LLM_ROUTER: 256}
EVALUATION_SEEDS = range(5_000, 5_010)
"""Episodes of the evaluation during training: in no seed set that results are told for."""


@dataclass(frozen=True)
class Training:
    """One training run.

    Attributes
    ----------
    env : str
        ``LLMRouter-v0`` or ``BudgetRouter-v0``.
    env_settings : dict
        Keyword arguments of the environment.
    segment : int
        Steps between two checkpoints and evaluations, rounded up to whole rollouts of n_envs * 512.
    """

    env: str
    env_settings: dict[str, Any] = field(default_factory=dict)
    total_timesteps: int = 100_000
    seed: int = 0
    n_envs: int = 4
    entropy: float = 0.01
    segment: int = 10_240


def load_sb3() -> Any:
    """Import stable-baselines3 (the ``rl`` extra) with one thread, or say how to get it."""
    try:
        import stable_baselines3
        import torch
    except ImportError as error:
        raise UserError(
            f"PPO needs stable-baselines3 and torch ({error}); pip install -r requirements-rl.txt"
        ) from None
    torch.set_num_threads(1)
    return stable_baselines3


def train(
    run: Training,
    folder: str | Path,
    resume: bool = False,
    tick: Callable[[int, float], None] = lambda steps, reward: None,
) -> pd.DataFrame:
    """Train, write ``checkpoints/STEPS.zip``, ``model.zip`` and ``curve.csv``; return the curve.

    Parameters
    ----------
    resume : bool
        Go on from the newest checkpoint in ``folder`` (from the start where there is none).

    Returns
    -------
    DataFrame
        timesteps, mean_reward, sd_reward, n_episode and, for the budget router, mean_grader_score; one row
        per evaluation, the first before any training.
    """
    sb3 = load_sb3()
    folder = files.make_folder(folder)
    checkpoints = files.make_folder(folder / "checkpoints")
    envs = _envs(sb3, run)
    curve_path = folder / "curve.csv"
    newest = _newest(checkpoints) if resume and curve_path.is_file() else None
    if newest is None:
        settings = {**NETWORK, "batch_size": BATCH[run.env], "ent_coef": run.entropy, "seed": _seed(run, 0)}
        model = sb3.PPO("MlpPolicy", envs, device="cpu", **settings)
        curve = pd.DataFrame([{"timesteps": 0, **evaluate(run, model)}])
    else:
        model = sb3.PPO.load(newest[1], env=envs, device="cpu")
        old = pd.read_csv(curve_path)
        curve = old[old["timesteps"] <= newest[0]]
    done = 0 if newest is None else newest[0]
    while done < run.total_timesteps:
        length = min(run.segment, run.total_timesteps - done)
        model.set_random_seed(_seed(run, done))
        model._last_obs = None  # makes learn() reset the environments, which set_random_seed has seeded
        model.learn(length, reset_num_timesteps=False)
        done = int(model.num_timesteps)  # whole rollouts: n_envs * n_steps at a time
        curve = pd.concat([curve, pd.DataFrame([{"timesteps": done, **evaluate(run, model)}])], ignore_index=True)
        with files.atomic_path(checkpoints / f"{done}.zip") as path:
            _save(model, path)
        with files.atomic_path(curve_path) as path:
            curve.to_csv(path, index=False, float_format="%.6f")
        tick(done, float(curve["mean_reward"].iloc[-1]))
    with files.atomic_path(folder / "model.zip") as path:
        _save(model, path)
    return curve


def evaluate(run: Training, model: Any) -> dict[str, float]:
    """Play :data:`EVALUATION_SEEDS` with the most likely actions."""
    envs = [gym.make(run.env, **run.env_settings) for _ in EVALUATION_SEEDS]
    seen = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, EVALUATION_SEEDS, strict=True)])
    rewards = np.zeros(len(envs))
    going = list(range(len(envs)))
    while going:
        actions, _ = model.predict(seen[going], deterministic=True)
        for i, action in zip(list(going), actions, strict=True):
            seen[i], reward, terminated, truncated, _ = envs[i].step(int(action))
            rewards[i] += float(reward)
            if terminated or truncated:
                going.remove(i)
    grades = [env.unwrapped.grade().score for env in envs if isinstance(env.unwrapped, BudgetRouterEnv)]
    out = {
        "mean_reward": float(np.mean(rewards)),
        "sd_reward": float(np.std(rewards, ddof=1)),
        "n_episode": len(rewards),
    }
    return out | ({"mean_grader_score": float(np.mean(grades))} if grades else {})


def _envs(sb3: Any, run: Training) -> Any:
    from stable_baselines3.common.vec_env import DummyVecEnv

    # The package must be imported where the environment is made, or its id is unknown.
    make = functools.partial(gym.make, f"{dacr.envs.__name__}:{run.env}", **run.env_settings)
    return DummyVecEnv([make] * run.n_envs)


def _seed(run: Training, done: int) -> int:
    return seed_for("ppo", run.env, sorted(run.env_settings.items()), run.seed, done) % 2**31


def _newest(checkpoints: Path) -> tuple[int, Path] | None:
    found = [(int(path.stem), path) for path in checkpoints.glob("*.zip") if path.stem.isdigit()]
    return max(found, default=None)


def _save(model: Any, path: Path) -> None:
    with open(path, "wb") as file:
        model.save(file)
