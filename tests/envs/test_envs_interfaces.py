"""Both environments as Gymnasium sees them: checker, seeds, ends, and that nothing hidden is shown."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import dacr.envs  # noqa: F401
from dacr.core.errors import UserError
from dacr.data.sample import generate
from dacr.data.table import RoutingTable
from dacr.envs.budget_router import BudgetRouterEnv
from dacr.envs.fleet import SimulatedFleet
from dacr.envs.fleet_config import PRESET, LLMRouterConfig, ModelConfig
from dacr.envs.llm_router import LLMRouterVectorEnv
from dacr.envs.recorded import Replay

FLEETS: list[dict[str, Any]] = [
    {},
    {"quality_required": True},
    {"queue_latency": 4.0},
    {"bankrupt_penalty": 5.0, "budget": 0.1},
    {"models": PRESET[:2], "episode_length": 5},
]


def make_vec(num_envs: int, **settings: Any) -> LLMRouterVectorEnv:
    made = gym.make_vec("LLMRouter-v0", num_envs, vectorization_mode="vector_entry_point", **settings)
    assert isinstance(made, LLMRouterVectorEnv)
    return made


@pytest.fixture(scope="module")
def table() -> RoutingTable:
    made = generate.generate(500, seed=1)
    n, m = len(made.qid), len(made.model)
    prompts = made.long["prompt"].to_numpy(dtype=object).reshape(n, m)[:, 0]

    def cells(name: str) -> np.ndarray:
        return made.long[name].to_numpy(dtype=float).reshape(n, m)

    return RoutingTable(
        made.qid, prompts, made.domain, made.model, cells("quality"), cells("cost"), np.full((n, m), np.nan), None
    )


@pytest.mark.parametrize("fleet", FLEETS)
def test_the_checker_passes_the_fleet(fleet: dict[str, Any]) -> None:
    check_env(gym.make("LLMRouter-v0", **fleet).unwrapped)


@pytest.mark.parametrize("name", ["easy", "medium", "hard", "hard_multi", "shuffled", "flapping_hard"])
@pytest.mark.parametrize("mode", ["faithful", "strict"])
def test_the_checker_passes_the_budget_router(name: str, mode: str) -> None:
    check_env(gym.make("BudgetRouter-v0", scenario=name, mode=mode).unwrapped)


def test_the_checker_passes_replay(table: RoutingTable) -> None:
    env = gym.make("LLMRouter-v0", data=table, episode_length=20).unwrapped
    check_env(env)
    assert env.action_space.n == len(table.model)


def test_shapes_and_names() -> None:
    env = gym.make("LLMRouter-v0", episode_length=500, budget=5.0)
    assert env.observation_space.shape == (9,)
    assert gym.make("LLMRouter-v0", quality_required=True).observation_space.shape == (10,)
    observation, info = env.reset(seed=3)
    assert observation[-1] == 1.0 and info["budget_remaining"] == 5.0
    _, reward, _, _, info = env.step(1)
    assert info["model_name"] == "tier1_small" and info["cost"] == 0.003
    assert set(info) == {"cost", "quality", "latency", "model_name", "budget_remaining", "sla_violated"}
    assert reward == pytest.approx(0.5 * info["quality"] - 0.003 - 2 * max(0.0, info["latency"] - 1.0))


def roll(env: gym.Env, seed: int | None, n: int = 30) -> list[np.ndarray]:
    out = [env.reset(seed=seed)[0]]
    for i in range(n):
        observation, reward, terminated, truncated, _ = env.step(i % int(env.action_space.n))  # type: ignore[attr-defined]
        out += [observation, np.array([reward, terminated, truncated])]
        if terminated or truncated:
            out.append(env.reset()[0])
    return out


@pytest.mark.parametrize(
    ("env_id", "how"), [("LLMRouter-v0", {}), ("LLMRouter-v0", {"episode_length": 7}), ("BudgetRouter-v0", {})]
)
def test_the_same_seed_gives_the_same_episodes(env_id: str, how: dict[str, Any]) -> None:
    one, two, other = (roll(gym.make(env_id, **how), seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=False))


def test_a_second_reset_goes_on_with_the_generator() -> None:
    env = gym.make("LLMRouter-v0")
    first, second = env.reset(seed=1)[0], env.reset()[0]
    assert not np.array_equal(first, second)


def test_the_time_limit_truncates_and_bankruptcy_terminates() -> None:
    env = gym.make("LLMRouter-v0", episode_length=4)
    env.reset(seed=0)
    ends = [env.step(1)[2:4] for _ in range(4)]
    assert ends == [(False, False)] * 3 + [(False, True)]
    poor = gym.make("LLMRouter-v0", budget=0.05, bankrupt_penalty=3.0)
    poor.reset(seed=0)
    assert poor.step(0)[2:4] == (False, False)
    _, reward, terminated, truncated, info = poor.step(0)
    assert terminated and not truncated and info["budget_remaining"] == 0.0
    assert reward < -2.0


def test_money_that_is_exactly_spent_is_gone() -> None:
    env = gym.make("LLMRouter-v0", models=[ModelConfig("one", 0.1, 0.5, 0.1, 0.9)], budget=1.0)
    env.reset(seed=0)
    steps = 0
    while not env.step(0)[2]:
        steps += 1
    assert steps + 1 == 10


def hidden_values(env: BudgetRouterEnv) -> set[float]:
    return {float(h) for h in env.game.episode.hidden.health}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["easy", "hard_multi", "shuffled", "flapping"]), st.data())
def test_nothing_hidden_is_shown(seed: int, name: str, data: st.DataObject) -> None:
    env = gym.make("BudgetRouter-v0", scenario=name)
    inner = env.unwrapped
    assert isinstance(inner, BudgetRouterEnv)
    observation, info = env.reset(seed=seed)
    over = False
    while not over:
        visible = {"action", "success", "cost", "latency_ms", "left_usd", "bankrupt"}
        assert set(info) <= visible
        outcomes = {k / n for n in range(1, 6) for k in range(n + 1)}
        status = [float(value) for value in observation[:3]]
        assert all(any(abs(s - o) < 1e-6 for o in outcomes) for s in status)
        assert env.observation_space.contains(observation)
        observation, _, over, _, info = env.step(data.draw(st.integers(0, 3)))


def test_two_hidden_worlds_look_alike_until_an_outcome_differs() -> None:
    """Whatever the onset, the first observation is the same, and so is that after shedding."""
    seen = set()
    for seed in range(20):
        env = gym.make("BudgetRouter-v0", scenario="shuffled")
        first = env.reset(seed=seed)[0]
        second = env.step(3)[0]
        seen.add((first.tobytes(), second.tobytes()))
    assert len(seen) == 1


def test_a_finished_episode_gives_no_more_reward() -> None:
    env = BudgetRouterEnv("easy")
    env.reset(seed=0)
    rewards = [env.step(3)[1] for _ in range(20)]
    assert rewards == [-0.5] * 20
    before = env.game.episode.observation()
    assert env.step(0)[1:3] == (0.0, True)
    assert env.game.episode.observation() == before


def test_vectorised_is_the_same_game() -> None:
    envs = make_vec(400, queue_latency=4.0, episode_length=60)
    envs.reset(seed=0)
    totals = np.zeros(400)
    for _ in range(60):
        _, reward, _, truncated, _ = envs.step(np.full(400, 1))
        totals += reward
    assert truncated.all()
    single = []
    env = gym.make("LLMRouter-v0", queue_latency=4.0, episode_length=60)
    for seed in range(60):
        env.reset(seed=seed)
        single.append(sum(float(env.step(1)[1]) for _ in range(60)))
    spread = math.hypot(np.std(single) / math.sqrt(60), totals.std() / 20)
    assert abs(np.mean(single) - totals.mean()) < 4 * spread


def test_vectorised_resets_where_an_episode_ended() -> None:
    envs = make_vec(3, budget=0.05)
    envs.reset(seed=0)
    actions = np.array([0, 1, 0])
    envs.step(actions)
    _, _, terminated, _, _ = envs.step(actions)
    assert terminated.tolist() == [True, False, True]
    observation, reward, terminated, _, _ = envs.step(actions)
    assert reward[0] == reward[2] == 0.0 and reward[1] != 0.0
    assert not terminated.any()
    assert observation[0, -1] == 1.0 and observation[1, -1] < 1.0


def test_vectorised_is_reproducible_and_made_by_gymnasium() -> None:
    one, two = make_vec(4), gym.make_vec("LLMRouter-v0", 4, vectorization_mode="vector_entry_point")
    a, b = one.reset(seed=9)[0], two.reset(seed=9)[0]
    assert np.array_equal(a, b)
    actions = np.array([0, 1, 2, 3])
    assert np.array_equal(one.step(actions)[0], two.step(actions)[0])


@pytest.mark.slow
def test_a_million_steps_a_second() -> None:
    envs = make_vec(1024)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 5, (64, 1024))
    best = 0.0
    for _ in range(10):
        started = time.process_time()  # what other work on the machine disturbs least
        for i in range(200):
            envs.step(actions[i % 64])
        best = max(best, 200 * 1024 / (time.process_time() - started))
    assert best >= 1e6


@pytest.mark.parametrize(
    ("arm", "reward", "cost", "required"),
    [
        ("tier1_small", 438.96, 3.00, True),
        ("tier2_small", 417.4, 1.00, True),
        ("open_source", 311.5, 0.50, True),
        ("tier1_large", -519.5, 10.0, True),
        ("tier2_large", -391.0, 10.0, True),
        ("tier1_small", 439.29, 3.00, False),
        ("tier2_small", 418.84, 1.00, False),
        ("open_source", 314.69, 0.50, False),
    ],
)
def test_constants_of_the_preset_fleet(arm: str, reward: float, cost: float, required: bool) -> None:
    """Within 1 % over 500 episodes of 1,000 steps."""
    envs = make_vec(500, quality_required=required)
    envs.reset(seed=0)
    index = [model.name for model in PRESET].index(arm)
    total, paid, going = np.zeros(500), np.zeros(500), np.ones(500, dtype=bool)
    while going.any():
        _, gained, terminated, truncated, info = envs.step(np.full(500, index))
        total += np.where(going, gained, 0.0)
        paid += np.where(going, info["cost"], 0.0)
        going &= ~(terminated | truncated)
    assert total.mean() == pytest.approx(reward, rel=0.01)
    assert paid.mean() == pytest.approx(cost, rel=0.01)


def test_the_beta_draws_are_beta() -> None:
    from scipy import stats

    fleet = SimulatedFleet(LLMRouterConfig(), 20_000)
    fleet.reset(np.random.default_rng(0))
    assert stats.kstest(fleet.length, stats.beta(2, 3).cdf).pvalue > 0.01


def test_replay_gives_recorded_outcomes(table: RoutingTable) -> None:
    replay = Replay(table, part="test", dearest_usd=0.03, episode_length=10)
    rng = np.random.default_rng(0)
    replay.reset(rng)
    row = int(replay._order[0])
    moved = replay.step(np.array([2]))
    assert moved.quality[0] == table.quality[row, 2]
    assert moved.cost[0] == pytest.approx(table.cost_usd[row, 2] * replay.cost_scale)
    assert np.isnan(moved.latency[0]) and np.isfinite(moved.reward[0])


def test_replay_shows_text_features_alone(table: RoutingTable) -> None:
    env = gym.make("LLMRouter-v0", data=table, episode_length=5)
    first, _ = env.reset(seed=4)
    dear = int(np.argmax(table.cost_usd.mean(axis=0)))
    after_dear = env.step(dear)[0]
    env.reset(seed=4)
    assert np.array_equal(env.step(0)[0], after_dear)
    assert first.shape == env.observation_space.shape


@pytest.mark.parametrize(
    ("env_id", "how", "words"),
    [
        ("BudgetRouter-v0", {"scenario": "hrd"}, "did you mean 'hard'"),
        ("BudgetRouter-v0", {"mode": "lenient"}, "'faithful' or 'strict'"),
        ("LLMRouter-v0", {"episode_length": 0}, "episode_length: expected a whole number of at least 1"),
        ("LLMRouter-v0", {"queue_latency": -1.0}, "at least 0"),
        ("LLMRouter-v0", {"data": "no_such.parquet"}, "no such file"),
    ],
)
def test_bad_settings_are_said_in_one_line(env_id: str, how: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        gym.make(env_id, **how)


def test_replay_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    generate.generate(500, seed=1).long.to_parquet(path)
    env = gym.make("LLMRouter-v0", data=path, part="test", episode_length=3)
    again = gym.make("LLMRouter-v0", data=str(path), part="test", episode_length=3)
    one, two = env.reset(seed=2)[0], again.reset(seed=2)[0]
    assert np.array_equal(one, two)
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends[-1] == (False, True)
