"""Facts of the published systems that no golden number holds: seed sets, lines, draws, settings of PPO."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dacr.envs.play import end_line, play
from dacr.envs.policies.make import make_policy
from dacr.envs.ppo import BATCH, N_ENVS, NETWORK, TrainingRun
from dacr.envs.scenarios import scenario, seeds_of


def test_seed_sets() -> None:
    assert [list(seeds_of(name)) for name in ("development", "heldout", "fresh")] == [
        list(range(first, first + 10)) for first in (0, 100, 200)
    ]


@pytest.mark.parametrize("seed", [0, 105])
def test_the_random_policy_draws_from_a_generator_of_its_own(seed: int) -> None:
    chosen, draws = scenario("easy"), random.Random(seed + 10_000)
    steps = play(chosen, make_policy("random", chosen), seed).steps
    assert [step.action for step in steps] == [draws.randrange(4) for _ in steps]


@pytest.mark.parametrize(("score", "told"), [(0.0, "0.001"), (1.0, "0.999"), (0.5556, "0.556")])
def test_the_score_of_the_last_line_is_cut(score: float, told: str) -> None:
    chosen = scenario("hard_multi")
    played = play(chosen, make_policy("heuristic", chosen), 0)
    assert f" score={told} rewards=" in end_line(replace(played, grade=replace(played.grade, score=score)))


def test_an_episode_without_money_left_is_no_success() -> None:
    for policy, told in (("always_c", "false"), ("always_a", "true")):
        chosen = scenario("easy")
        assert end_line(play(chosen, make_policy(policy, chosen), 0)).split()[1] == f"success={told}"


def test_ppo_has_the_published_settings() -> None:
    published = {"n_steps": 512, "n_epochs": 10, "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 3e-4}
    assert (N_ENVS, BATCH["BudgetRouter-v0"]) == (4, 64) and published == NETWORK
    assert all(0.01 <= TrainingRun(env=env).entropy <= 0.02 for env in ("BudgetRouter-v0", "LLMRouter-v0"))  # type: ignore[arg-type]
