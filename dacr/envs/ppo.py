"""PPO, trained by ``scripts/train_ppo.py`` (checkpoints, exact resume, evaluation on fixed episodes), and played.

Training is cut into segments. At the start of each, all generators are seeded by (seed, steps so far) and
the environments are reset, so a run that was stopped and resumed gives the same curve as one that was not.
"""

import functools
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.core.rng import generator, seed_for
from dacr.core.values import AtLeast1, Checked
from dacr.envs import BUDGET_ROUTER, LLM_ROUTER
from dacr.envs.budget_router import BudgetRouterEnv
from dacr.envs.episode import Mode
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Game, Policy
from dacr.envs.scenarios import Brief
from dacr.types import Ints

N_ENVS = 4
NETWORK = {"n_steps": 512, "n_epochs": 10, "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 3e-4}
BATCH = {BUDGET_ROUTER: 64, LLM_ROUTER: 256}
EVALUATION_SEEDS = range(5_000, 5_010)
"""Episodes of the evaluation during training: in no seed set that results are told for."""


@dataclass(frozen=True)
class TrainingRun(Checked):
    """One training run: the flags of ``train_ppo``.

    Parameters
    ----------
    scenario, mode : str
        Of BudgetRouter-v0.
    queue_latency, quality_required, data
        Of LLMRouter-v0.
    checkpoint_every : int
        Steps between checkpoints, each with an evaluation on fixed episodes; rounded up to whole rollouts of all
        environments.
    resume : bool
        Go on from the newest checkpoint in output_dir; the curve is the same as without the stop.
    """

    env: Literal["LLMRouter-v0", "BudgetRouter-v0"] = "LLMRouter-v0"
    total_timesteps: AtLeast1 = 100_000
    output_dir: str = "results_dacr/ppo"
    seed: int = 0
    scenario: str = "hard_multi"
    mode: Mode = "faithful"
    queue_latency: float = 0.0
    quality_required: bool = False
    data: str | None = None
    entropy: float = 0.01
    checkpoint_every: AtLeast1 = 10_240
    resume: bool = False

    @property
    def env_settings(self) -> dict[str, Any]:
        """Keyword arguments of the environment."""
        if self.env == BUDGET_ROUTER:
            return {"scenario": self.scenario, "mode": self.mode}
        if self.data:
            return {"data": self.data}
        return {"queue_latency": self.queue_latency, "quality_required": self.quality_required}


def train_ppo(run: TrainingRun) -> None:
    """Train PPO in one of the environments; write its learning curve beside baselines, checkpoints and the model."""
    from dacr.envs import figures  # here: who plays, or asks for help, needs no Matplotlib
    from dacr.report.figure import write

    folder = files.make_folder(run.output_dir)

    def tell(steps: int, reward: float) -> None:
        print(f"{steps:>9,} steps  mean reward {reward:10.3f}", file=sys.stderr)

    curve = train(run, folder, run.resume, tell)
    others = baselines(run)
    files.write_text(folder / "baselines.csv", others.to_csv(index=False, float_format="%.6f"))
    write(figures.curve(curve, others, f"PPO on {run.env}", _told(run)), folder / "curve")
    config = {name: getattr(run, name) for name in ("env", "env_settings", "seed", "entropy", "total_timesteps")}
    config |= {**NETWORK, "batch_size": BATCH[run.env], "checkpoint_every": run.checkpoint_every}
    inputs: dict[str, str | Path] = {"data": run.data} if run.data else {}
    files.write_json(folder / "manifest.json", manifest.build("train_ppo", config, inputs))
    trained = pd.DataFrame([{"strategy": "PPO", **curve.iloc[-1].to_dict()}])
    table = pd.concat([trained, others])[["strategy", "mean_reward", "mean_cost"]]
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(f"wrote {folder}/model.zip, curve.csv, baselines.csv, curve.png, checkpoints/")


def _told(run: TrainingRun) -> str:
    given = run.env_settings.items()
    words = [f"{key} {Path(value).name if key == 'data' else value}" for key, value in given if value]
    return ", ".join([*words, f"seed {run.seed}"])


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
    run: TrainingRun,
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
        timesteps and what :func:`evaluate` returns; one row per evaluation, the first before any training.
    """
    sb3 = load_sb3()
    folder = files.make_folder(folder)
    checkpoints = files.make_folder(folder / "checkpoints")
    # The package must be imported where the environment is made, or its id is unknown.
    make = functools.partial(gym.make, f"dacr.envs:{run.env}", **run.env_settings)
    envs = sb3.common.vec_env.DummyVecEnv([make] * N_ENVS)
    curve_path = folder / "curve.csv"
    found = [(int(path.stem), path) for path in checkpoints.glob("*.zip") if path.stem.isdigit()]
    newest = max(found, default=None) if resume and curve_path.is_file() else None
    if newest is None:
        settings = {**NETWORK, "batch_size": BATCH[run.env], "ent_coef": run.entropy, "seed": _seed(run, 0)}
        model = sb3.PPO("MlpPolicy", envs, device="cpu", **settings)
        curve = pd.DataFrame([{"timesteps": 0, **evaluate(run, _greedy(model))}])
    else:
        model = sb3.PPO.load(newest[1], env=envs, device="cpu")
        old = pd.read_csv(curve_path)
        curve = old[old["timesteps"] <= newest[0]]
    done = 0 if newest is None else newest[0]
    while done < run.total_timesteps:
        length = min(run.checkpoint_every, run.total_timesteps - done)
        model.set_random_seed(_seed(run, done))
        model._last_obs = None  # makes learn() reset the environments, which set_random_seed has seeded
        model.learn(length, reset_num_timesteps=False)
        done = int(model.num_timesteps)  # whole rollouts: n_envs * n_steps at a time
        row = pd.DataFrame([{"timesteps": done, **evaluate(run, _greedy(model))}])
        curve = pd.concat([curve, row], ignore_index=True)
        _save(model, checkpoints / f"{done}.zip")
        files.write_text(curve_path, curve.to_csv(index=False, float_format="%.6f"))
        tick(done, float(curve["mean_reward"].iloc[-1]))
    _save(model, folder / "model.zip")
    return curve


def evaluate(run: TrainingRun, choose: Callable[[Any, int], Ints]) -> dict[str, float]:
    """Play :data:`EVALUATION_SEEDS`.

    Parameters
    ----------
    choose : callable
        Observations (n, n_feature) of the episodes that go on, and the number of the step -> (n,) actions.

    Returns
    -------
    dict
        mean_reward, sd_reward, mean_cost (USD), n_episode and, for the budget router, mean_grader_score.
    """
    envs = [gym.make(run.env, **run.env_settings) for _ in EVALUATION_SEEDS]
    seen = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, EVALUATION_SEEDS, strict=True)])
    rewards, costs = np.zeros(len(envs)), np.zeros(len(envs))
    going, number = list(range(len(envs))), 0
    while going:
        actions = choose(seen[going], number)
        number += 1
        for i, action in zip(list(going), actions, strict=True):
            seen[i], reward, terminated, truncated, info = envs[i].step(int(action))
            rewards[i] += float(reward)
            costs[i] += info["cost"]
            if terminated or truncated:
                going.remove(i)
    grades = [env.unwrapped.grade().score for env in envs if isinstance(env.unwrapped, BudgetRouterEnv)]
    out = {
        "mean_reward": float(np.mean(rewards)),
        "sd_reward": float(np.std(rewards, ddof=1)),
        "mean_cost": float(np.mean(costs)),
        "n_episode": len(rewards),
    }
    return out | ({"mean_grader_score": float(np.mean(grades))} if grades else {})


def baselines(run: TrainingRun) -> pd.DataFrame:
    """Return what :func:`evaluate` gives for each constant action, round-robin and random, best reward first."""
    env = gym.make(run.env, **run.env_settings).unwrapped
    arms = env.game.rules.arms
    n_model = len(arms) - (run.env == BUDGET_ROUTER)
    rng = generator("random baseline", run.env)
    choices: dict[str, Callable[[Any, int], Ints]] = {
        f"always {arm}": functools.partial(_constant, i) for i, arm in enumerate(arms)
    }
    choices["round-robin"] = lambda seen, number: np.full(len(seen), number % n_model)
    choices["random"] = lambda seen, number: rng.integers(len(arms), size=len(seen))
    table = pd.DataFrame([{"strategy": name, **evaluate(run, choose)} for name, choose in choices.items()])
    return table.sort_values("mean_reward", ascending=False, ignore_index=True)


def _constant(action: int, seen: Any, number: int) -> Ints:
    return np.full(len(seen), action)


def _greedy(model: Any) -> Callable[[Any, int], Ints]:
    return lambda seen, number: model.predict(seen, deterministic=True)[0]


def _seed(run: TrainingRun, done: int) -> int:
    return seed_for("ppo", run.env, sorted(run.env_settings.items()), run.seed, done) % 2**31


def _save(model: Any, target: Path) -> None:
    with files.atomic_path(target) as path, open(path, "wb") as file:
        model.save(file)


class PPOPolicy(Policy):
    """The most likely action of the network for each observation.

    Parameters
    ----------
    model_path : str
        The ``model.zip`` of ``scripts/train_ppo.py``.
    """

    name = "ppo"

    def __init__(self, rules: Brief | LLMRouterConfig, model_path: str | None) -> None:
        if not model_path:
            raise UserError("--policy ppo needs --model_path, the model.zip that scripts/train_ppo.py writes")
        path = files.existing_file(model_path, made_by="python scripts/train_ppo.py --env BudgetRouter-v0")
        if not zipfile.is_zipfile(path):
            raise UserError(f"{model_path} is not a model of scripts/train_ppo.py; expected a .zip that it wrote")
        self._model = load_sb3().PPO.load(path, device="cpu")
        got, expected = self._model.observation_space.shape, (rules.n_feature,)
        if got != expected:
            raise UserError(f"{model_path} was trained on observations of shape {got}, this environment has {expected}")

    def act(self, game: Game) -> Ints:
        """Return the network's actions."""
        return self._model.predict(game.observation.astype(np.float32), deterministic=True)[0]
