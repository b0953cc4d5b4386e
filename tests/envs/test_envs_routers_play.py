"""Every registered router plays in both environments, and what the adapters tell them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.core.rng import generator
from dacr.envs.evaluate import fleet_summary, half_width, paired_table
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.play import play, play_fleet
from dacr.envs.policies.experience import TRAINING_SEEDS, budget_experience, grader_prices
from dacr.envs.policies.health import HealthFilter
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import SEED_SETS, scenario

SHORT = LLMRouterConfig(episode_length=25, queue_latency=4.0)


def test_there_are_routers() -> None:
    assert {"dacr", "predict_optimize", "cascade", "random"} <= set(routers.names())


@pytest.mark.parametrize("name", routers.names())
def test_every_router_plays_the_budget_router(name: str) -> None:
    chosen = scenario("shuffled")
    policy = make_policy(f"router:{name}", chosen, "strict")
    played = [play(chosen, policy, seed, "strict") for seed in (0, 1, 0)]
    assert all(len(one.steps) == 20 and not one.bankrupt for one in played)
    assert [s.action for s in played[0].steps] == [s.action for s in played[2].steps], "an episode left a trace"
    assert policy.clairvoyant == (routers.get(name).clairvoyant or routers.get(name).full_information)


@pytest.mark.parametrize("name", routers.names())
def test_every_router_plays_the_fleet(name: str) -> None:
    policy = make_policy(f"router:{name}", SHORT)
    one, two = play_fleet(SHORT, policy, 4, 1), play_fleet(SHORT, policy, 4, 1)
    assert (one["steps"] == 25).all()
    pd.testing.assert_frame_equal(one, two)


def test_a_bare_router_name_is_enough_and_an_unknown_one_is_told() -> None:
    assert make_policy("predict_optimize", scenario("easy")).name == "router:predict_optimize"
    with pytest.raises(UserError, match=r"did you mean 'heuristic'.*router:dacr"):
        make_policy("heuristik", scenario("easy"))


def test_training_episodes_are_in_no_seed_set() -> None:
    assert not any(set(TRAINING_SEEDS) & set(seeds) for seeds in SEED_SETS.values())


def test_routers_are_not_shown_the_money_or_the_truth() -> None:
    experience = budget_experience(scenario("shuffled"))
    assert experience.features.shape[1] == 9  # status x 3, queue, latency, step, belief x 3
    assert experience.belief is not None
    assert experience.belief.min() > 0 and experience.belief.max() < 1
    assert experience.health is not None and experience.health.rate_.shape == (3, 2)


def test_prices_are_the_graders() -> None:
    prices = grader_prices(scenario("hard_multi").brief())
    # One success is .5 / 20 of the grade, a dollar .15 / 1.10, a late answer .15 / 20.
    assert prices["lambda_cost"] == pytest.approx((0.15 / 1.10) / 0.025)
    assert prices["lambda_late"] == pytest.approx(0.3)


def test_an_adaptive_router_beats_heuristic_and_open_loop_on_hidden_onsets() -> None:
    """Held-out seeds, strict grader: paired 95 % intervals above 0 over a hundred; better over the ten of them."""
    chosen = scenario("shuffled_hard_multi")
    grades = {}
    for name in ("router:dacr", "heuristic", "open_loop", "open_loop_base"):
        policy = make_policy(name, chosen, "strict")
        grades[name] = np.array([play(chosen, policy, s, "strict").grade.score for s in SEED_SETS["heldout_100"]])
    for reference in ("heuristic", "open_loop", "open_loop_base"):
        difference = grades["router:dacr"] - grades[reference]
        assert difference.mean() - half_width(difference) > 0, reference
        assert difference[:10].mean() > 0, reference


def chains(n: int, n_step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two providers with known chains: (outcomes, true success probability)."""
    rng = generator("health test", seed)
    rate = np.array([[0.9, 0.1], [0.8, 0.2]])
    state = np.zeros((n, 2), dtype=int)
    y, p = np.zeros((n, n_step, 2)), np.zeros((n, n_step, 2))
    for t in range(n_step):
        p[:, t] = rate[[0, 1], state]
        y[:, t] = rng.random((n, 2)) < p[:, t]
        move = np.where(state == 0, 0.05, 0.2)
        state = np.where(rng.random((n, 2)) < move, 1 - state, state)
    return y, p


def test_the_filter_finds_known_chains_again() -> None:
    y, p = chains(400, 30, 0)
    health = HealthFilter().fit(y)
    assert np.allclose(health.rate_, [[0.9, 0.1], [0.8, 0.2]], atol=0.06)
    assert np.allclose(health.move_[:, 0, 1], 0.05, atol=0.03)
    y, p = chains(100, 30, 1)
    told, blind = [], []
    for episode in range(100):
        health.reset()
        for t in range(30):
            told.append((health.predict()[0] - p[episode, t, 0]) ** 2)
            blind.append((y[:, :, 0].mean() - p[episode, t, 0]) ** 2)
            health.update(0, bool(y[episode, t, 0]))
    assert np.mean(told) < 0.7 * np.mean(blind)


def test_the_filter_trusts_again_after_a_while() -> None:
    y, _ = chains(400, 30, 0)
    health = HealthFilter().fit(y)
    health.reset()
    for _ in range(3):
        health.update(0, False)
    low = health.predict()[0]
    for _ in range(10):
        health.update(1, True)
    assert low < 0.4 < health.predict()[0]


def test_fleet_policies_meet_the_same_prompts() -> None:
    config = LLMRouterConfig(episode_length=40)
    names = ("always_tier1_small", "always_tier2_small")
    frames = [play_fleet(config, make_policy(name, config), 6, 3) for name in names]
    assert np.corrcoef(frames[0]["quality"], frames[1]["quality"])[0, 1] > 0.9
    assert tuple(frame["policy"].iloc[0] for frame in frames) == names


def test_the_sketch_of_every_fleet_policy() -> None:
    config = LLMRouterConfig(episode_length=10, budget=0.08)
    robin = play_fleet(config, make_policy("round_robin", config), 2, 0)
    # .030 + .003 + .015 + .001 + .0005, and again: bankrupt at the 7th call.
    assert robin["steps"].tolist() == [7, 7]
    assert play_fleet(config, make_policy("random", config), 3, 0)["steps"].between(1, 10).all()


def test_networks_are_merged_with_an_interval_over_trainings() -> None:
    episodes = pd.DataFrame(
        {
            "fleet": "preset",
            "policy": np.repeat(["ppo", "ppo", "random"], 2),
            "network": np.repeat(["0", "1", ""], 2),
            "reward": [1.0, 3.0, 5.0, 7.0, 0.0, 0.0],
            **dict.fromkeys(("cost", "quality", "latency_s", "late_share"), 0.0),
        }
    )
    merged = fleet_summary(episodes).set_index("policy").loc["ppo"]
    assert merged["reward"] == 4.0 and merged["n"] == 2
    assert merged["reward_half"] == pytest.approx(half_width(np.array([2.0, 6.0])))


def test_pairs_by_hand() -> None:
    frame = pd.DataFrame(
        {"set": "s", "policy": np.repeat(["a", "b", "c"], 4), "seed": np.tile(range(4), 3)}
        | {"value": [1.0, 2.0, 3.0, 4.0, 0.0, 1.1, 1.9, 3.0, 1.0, 2.0, 3.0, 4.0]}
    )
    table = paired_table(frame, ["set"], "value", ["b"]).set_index("policy")
    assert table.loc["a", "difference"] == pytest.approx(1.0)
    assert table.loc["a", "verdict"] == "win" and table.loc["c", "verdict"] == "win"
    ties = paired_table(frame, ["set"], "value", ["c"]).set_index("policy")
    assert ties.loc["a", "verdict"] == "tie" and ties.loc["a", "p"] == 1.0


def test_money_is_kept_for_the_cheapest_at_every_remaining_step() -> None:
    """.85 USD: seven calls at .10, and then .15 for thirteen at .01."""
    chosen = scenario("hard")
    policy = make_policy("router:strongest", chosen)
    played = play(chosen, policy, 0, "strict")
    assert [step.action for step in played.steps] == [2] * 7 + [0] * 13
    assert sum(step.cost_usd for step in played.steps) == pytest.approx(0.83)
