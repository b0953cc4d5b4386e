"""The scripts as a user types them: playing, evaluating, and the page that is written from results."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.envs.scenarios import scenario

Script = Callable[..., "subprocess.CompletedProcess[str]"]

STEP = re.compile(r"\[STEP\] step=\d+ action=(route_to_[abc]|shed_load) reward=-?\d+\.\d\d done=(true|false) error=\S+")


def test_play_prints_lines_and_writes_json(script: Script, stage: Script, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = script(
        "play_budget.py", "--policy", "heuristic", "--seed_set", "development", "--scenario", "all", "--max_seeds", 2,
        "--output_path", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[START] task=easy env=budget_router model=heuristic"
    assert sum(line.startswith("[END] ") for line in lines) == 8
    assert all(STEP.fullmatch(line) for line in lines if line.startswith("[STEP]"))
    end = re.fullmatch(r"\[END\] success=(true|false) steps=(\d+) score=(0\.\d{3}) rewards=(\S+)", lines[21])
    assert end and end[2] == "20" and len(end[4].split(",")) == 20
    record = json.loads(out.read_text())
    assert list(record) == ["easy", "hard", "hard_multi", "medium"]
    easy = record["easy"]
    assert easy["policy"] == "heuristic" and easy["seed_set"] == "development"
    assert set(easy["summary"]) == {
        "mean_reward", "mean_success_rate", "mean_cost", "mean_latency_ms", "mean_grader_score",
    }  # fmt: skip
    assert [episode["grader_score"] for episode in easy["episodes"]] == [0.7709, 0.8422]
    again = tmp_path / "again.json"
    stage("play_budget.py", "--max_seeds", 2, "--output_path", again)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--policy", "heuristc"], "did you mean 'heuristic'"),
        (["--scenario", "hrd"], "did you mean 'hard'"),
        (["--seed_set", "test"], "development, heldout, fresh"),
        (["--max_seeds", "0"], "at least 1"),
        (["--policy", "open_loop", "--schedule", "A5"], "has 5 steps, expected 20"),
        (["--policy", "ppo"], "--model_path"),
    ],
)
def test_bad_flags_are_one_line(stage: Script, flags: list[str], words: str) -> None:
    done = stage("play_budget.py", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and words in done.stderr


NEWCOMER = Path(__file__).parents[1] / "contracts" / "newcomer" / "my_router.py"


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("play_budget.py", ("--policy", "router:newcomer_router", "--scenario", "easy", "--max_seeds", 1)),
        pytest.param(
            "eval_envs.py", ("--env", "fleet", "--routers", "newcomer_router", "--n_episode", 2), marks=pytest.mark.slow
        ),
    ],
)
def test_a_router_of_ones_own_plays(name: str, flags: tuple[object, ...], script: Script, tmp_path: Path) -> None:
    flags = (*flags, "--plugin", NEWCOMER) + (("--output_dir", tmp_path / "out") if name.startswith("eval") else ())
    done = script(name, *flags)
    assert done.returncode == 0 and "newcomer_router" in done.stdout, done.stderr


@pytest.mark.slow
def test_evaluation_writes_tables_and_figures_twice_alike(script: Script, tmp_path: Path) -> None:
    def run(name: str) -> Path:
        folder = tmp_path / name
        done = script(
            "eval_envs.py", "--policies", "heuristic,open_loop,open_loop_base,oracle,ppo,router:predict_optimize",
            "--scenarios", "easy,shuffled", "--seed_sets", "development,heldout", "--n_episode", 2,
            "--routers", "best_single", "--ppo_dir", tmp_path / "none", "--output_dir", folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "no ppo for it, left out" in done.stderr
        return folder

    one, two = run("one"), run("two")
    names = sorted(path.name for path in one.iterdir())
    assert {"budget_episodes.csv", "budget_paired_grader_score.csv", "budget_heldout.png", "fleet_summary.csv"} <= set(
        names
    )
    for name in names:
        if name != "manifest.json":
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
    summary = pd.read_csv(one / "budget_summary.csv").set_index(["scenario", "seed_set", "policy"])
    easy = summary.loc[("easy", "development", "heuristic")]
    assert easy["mode"] == "faithful" and f"{easy['grader_score']:.4f}" == "0.7718"
    fleet = pd.read_csv(one / "fleet_summary.csv")
    assert "tier1_small" in fleet.to_csv() and not fleet.select_dtypes("number").isna().all(axis=None)


def test_a_configuration_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("scenarios: [")
    with pytest.raises(UserError, match="is not YAML"):
        scenario("easy", tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("providers: []\nscenarios: {mine: {budget_usd: 1, degradations: []}}")
    with pytest.raises(UserError, match=r"b\.yaml: scenario 'mine': lacks reliability, noise_ms"):
        scenario("mine", tmp_path / "b.yaml")
