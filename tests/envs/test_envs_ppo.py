"""PPO: the same seed gives the same curve, stopped and resumed or not; a trained network plays."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("stable_baselines3", reason="PPO needs requirements-rl.txt")
pytestmark = pytest.mark.filterwarnings("default")  # torch and its friends warn about each other

from dacr.core.errors import UserError  # noqa: E402
from dacr.envs.play import play  # noqa: E402
from dacr.envs.policies.make import make_policy  # noqa: E402
from dacr.envs.ppo import EVALUATION_SEEDS, TrainingRun, train  # noqa: E402
from dacr.envs.scenarios import SEED_SETS, scenario  # noqa: E402

BUDGET = TrainingRun("BudgetRouter-v0", total_timesteps=4096, scenario="hard", checkpoint_every=2048)


@pytest.mark.slow
def test_a_resumed_run_gives_the_same_curve_and_network(tmp_path: Path) -> None:
    whole = train(BUDGET, tmp_path / "whole")
    train(replace(BUDGET, total_timesteps=2048), tmp_path / "parts")
    resumed = train(BUDGET, tmp_path / "parts", resume=True)
    pd.testing.assert_frame_equal(resumed, whole, check_exact=False, rtol=1e-5)
    chosen = scenario("hard")
    grades = []
    for run in ("whole", "parts"):
        policy = make_policy("ppo", chosen, "faithful", model_path=str(tmp_path / run / "model.zip"))
        grades.append([play(chosen, policy, seed).grade.score for seed in range(3)])
    assert grades[0] == grades[1]


def test_evaluation_episodes_are_in_no_seed_set() -> None:
    assert not any(set(EVALUATION_SEEDS) & set(seeds) for seeds in SEED_SETS.values())


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_text("no network")
    with pytest.raises(UserError, match="not a model"):
        make_policy("ppo", scenario("easy"), "faithful", model_path=str(tmp_path / "model.zip"))


@pytest.mark.slow
@pytest.mark.parametrize("env", ["LLMRouter-v0", "BudgetRouter-v0"])
def test_ten_thousand_steps_by_the_command(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, env: str
) -> None:
    done = script(
        "train_ppo.py", "--env", env, "--total-timesteps", 10_000, "--checkpoint-every", 5_000, "--output_dir", tmp_path
    )
    assert done.returncode == 0, done.stderr
    for name in ("model.zip", "curve.csv", "curve.png", "curve.pdf", "manifest.json", "checkpoints/6144.zip"):
        assert (tmp_path / name).stat().st_size > 0
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert curve["timesteps"].tolist() == [0, 6_144, 10_240]  # whole rollouts of 2,048 steps
    assert curve["mean_reward"].iloc[-1] > {"LLMRouter-v0": 400.0, "BudgetRouter-v0": -5.0}[env]


def test_a_wrong_environment_is_one_line(script: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = script("train_ppo.py", "--env", "LLMRouter-v1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --env: expected LLMRouter-v0 or BudgetRouter-v0, got 'LLMRouter-v1'")
