"""The published figures of the budget router, reproduced draw for draw."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from types import SimpleNamespace

import gymnasium as gym
import pytest

import dacr.envs  # noqa: F401
from dacr.envs.budget_router import BudgetRouterEnv
from dacr.envs.game import Policy
from dacr.envs.play import PlayedEpisode, play
from dacr.envs.policies.fixed import Oracle
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import SEED_SETS, Scenario, scenario

# (reward, grader) means over ten seeds.
HEURISTIC = {
    ("easy", "development"): ("6.9800", "0.7718"),
    ("medium", "development"): ("2.5312", "0.6852"),
    ("hard", "development"): ("0.8804", "0.6354"),
    ("hard_multi", "development"): ("-2.9709", "0.6078"),
    ("easy", "heldout"): ("5.0100", "0.7313"),
    ("medium", "heldout"): ("1.1262", "0.6559"),
    ("hard", "heldout"): ("-1.4588", "0.5925"),
    ("hard_multi", "heldout"): ("-2.8943", "0.6064"),
    ("easy", "fresh"): ("7.1800", "0.7934"),
    ("medium", "fresh"): ("4.4368", "0.7158"),
    ("hard", "fresh"): ("-4.8839", "0.5530"),
    ("hard_multi", "fresh"): ("-3.0971", "0.6086"),
}
ORACLE_EXACT = {
    "easy": ("9.8000", "0.7429"),
    "medium": ("9.4895", "0.7575"),
    "hard": ("6.5428", "0.7101"),
    "hard_multi": ("4.1032", "0.6714"),
}
ALWAYS_A = {
    "easy": ("4.0000", "0.7788"),
    "medium": ("-22.0207", "0.4373"),
    "hard": ("-33.0764", "0.3102"),
    "hard_multi": ("-29.4578", "0.3630"),
}
OPEN_LOOP = {
    "medium": ("0.7575", "0.7536", "0.7726"),
    "hard": ("0.7137", "0.7046", "0.6914"),
    "hard_multi": ("0.7056", "0.6907", "0.6956"),
}
PER_SEED = {
    "easy": ".7709 .8422 .7071 .7671 .7259 .7020 .7418 .8689 .7806 .8116",
    "medium": ".6776 .6688 .5097 .6855 .7486 .7031 .6807 .7329 .7447 .7007",
    "hard": ".4999 .6506 .4969 .5334 .7080 .6064 .7382 .6804 .7138 .7268",
    "hard_multi": ".5569 .6077 .6165 .6289 .5933 .6070 .6546 .6477 .5338 .6315",
}


def episodes(name: str, make: Callable[[Scenario], Policy], seeds: str, **how: str) -> list[PlayedEpisode]:
    chosen = scenario(name)
    policy = make(chosen)
    return [play(chosen, policy, seed, **how) for seed in SEED_SETS[seeds]]  # type: ignore[arg-type]


def named(name: str) -> Callable[[Scenario], Policy]:
    return lambda chosen: make_policy(name, chosen)


def to_4_digits(values: list[float]) -> str:
    """Mean of ten, halves rounded up: grades have four digits, so a tie at the fifth is exact."""
    mean = sum(Decimal(repr(round(value, 9))) for value in values) / len(values)
    return str(mean.quantize(Decimal("0.0001"), ROUND_HALF_UP))


def means(played: list[PlayedEpisode]) -> tuple[str, str]:
    return to_4_digits([one.summary()["reward"] for one in played]), to_4_digits([one.grade.score for one in played])


@pytest.mark.parametrize(("name", "seeds"), HEURISTIC)
def test_heuristic(name: str, seeds: str) -> None:
    assert means(episodes(name, named("heuristic"), seeds)) == HEURISTIC[name, seeds]


@pytest.mark.parametrize("name", ORACLE_EXACT)
def test_oracle_with_exact_money(name: str) -> None:
    played = episodes(name, lambda chosen: Oracle(strict=True), "development", money="exact")
    assert means(played) == ORACLE_EXACT[name]


def test_float_money_pays_for_a_call_too_many() -> None:
    assert means(episodes("easy", named("oracle"), "development")) == ("10.1000", "0.7459")


@pytest.mark.parametrize("name", ALWAYS_A)
def test_always_a(name: str) -> None:
    assert means(episodes(name, named("always_a"), "development")) == ALWAYS_A[name]


@pytest.mark.parametrize("name", ALWAYS_A)
def test_always_shed(name: str) -> None:
    assert means(episodes(name, named("always_shed"), "development")) == ("-10.0000", "0.1500")


@pytest.mark.parametrize("name", OPEN_LOOP)
def test_the_open_loop_schedules(name: str) -> None:
    got = tuple(means(episodes(name, named("open_loop"), seeds))[1] for seeds in ("development", "heldout", "fresh"))
    assert got == OPEN_LOOP[name]


@pytest.mark.parametrize("name", PER_SEED)
def test_heuristic_grades_per_seed(name: str) -> None:
    got = [one.grade.score for one in episodes(name, named("heuristic"), "development")]
    assert got == [float(grade) for grade in PER_SEED[name].split()]


def test_the_golden_episode_step_by_step() -> None:
    chosen = scenario("hard_multi")
    env = gym.make("BudgetRouter-v0", scenario="hard_multi")
    inner = env.unwrapped
    assert isinstance(inner, BudgetRouterEnv)
    policy = make_policy("heuristic", chosen)
    env.reset(seed=0)
    assert inner.game.episode.hidden.onsets == (3, 10)
    seen, rewards, over = [], [], False
    while not over:
        _, reward, over, _, info = env.step(int(policy.act(inner.game)[0]))
        seen.append((info["action"][-1], info["success"], round(info["latency_ms"], 2)))
        rewards.append(float(reward))
    latencies = [66.01, 118.53, 149.22, 309.69, 331.32, 390.85, 182.21, 281.48, 117.93, 466.53, 473.86, 573.88]
    failed = {3, 4, 5, 9, 10, 11}
    expected = [("a" if i < 6 else "b", i not in failed, ms) for i, ms in enumerate(latencies)]
    assert seen[:12] == expected
    assert [action for action, _, _ in seen[12:]] == ["c"] * 7 + ["d"]  # shed_load
    assert rewards[11] == pytest.approx(-2.375, abs=5e-4)
    assert sum(rewards) == pytest.approx(-4.4659, abs=5e-5)
    assert sum(step.cost_usd for step in inner.game.episode.steps) == pytest.approx(1.06)
    assert inner.grade().score == 0.5569


@pytest.mark.parametrize("name", ["easy", "hard_multi"])
def test_policies_choose_alike_on_the_float32_observation(name: str) -> None:
    chosen = scenario(name)
    policy = make_policy("heuristic", chosen)
    env = gym.make("BudgetRouter-v0", scenario=name)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        actions, over = [], False
        while not over:
            game = SimpleNamespace(rules=chosen.brief(), observation=observation[None, :])
            actions.append(int(policy.act(game)[0]))  # type: ignore[arg-type]
            observation, _, over, _, _ = env.step(actions[-1])
        assert actions == [step.action for step in play(chosen, policy, seed).steps]
