"""The grader by hand, faithful and strict, and the hidden draws of the variants."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.envs.episode import Episode, Step
from dacr.envs.grader import grade
from dacr.envs.play import play
from dacr.envs.policies.fixed import parse_schedule
from dacr.envs.policies.make import make_policy
from dacr.envs.scenarios import names, scenario


def episode_of(steps: list[Step], name: str = "medium", bankrupt: bool = False) -> Episode:
    episode = Episode(scenario(name), 0)
    episode.steps, episode.bankrupt = steps, bankrupt
    return episode


def ok(number: int, ms: float = 100.0, success: bool = True) -> Step:
    return Step(number, 0, True, success, 0.01, ms, 1.0)


def test_faithful_by_hand() -> None:
    # medium: onset 5. Steps 1-4 succeed in 100 ms, 5-8 fail in 600 ms, 9-10 are shed.
    steps = [ok(i) for i in range(1, 5)] + [ok(i, 600.0, False) for i in range(5, 9)]
    steps += [Step(i, 3, False, False, 0.0, 0.0, -0.5) for i in (9, 10)]
    got = grade(episode_of(steps))
    assert got.success == 0.4
    assert got.latency == pytest.approx(1 - 350 / 500)
    assert got.sla == 0.5
    assert got.budget == pytest.approx(1 - 0.08 / 0.95)
    assert got.adaptation == 0.0  # of the routed steps 6, 7, 8
    expected = 0.3 * 0.4 + 0.2 * 0.3 + 0.15 * (1 - 0.08 / 0.95) + 0.15 * 0.5
    assert got.score == round(expected, 4)


def test_strict_by_hand() -> None:
    # Four good calls, then bankrupt at step 5: the other 16 steps count as not served.
    steps = [ok(i) for i in range(1, 5)] + [Step(5, 2, True, False, 0.10, 0.0, -10.0, bankrupt=True)]
    got = grade(episode_of(steps, bankrupt=True), "strict")
    assert got.success == 4 / 20
    assert got.latency == pytest.approx(1 - (4 * 100 + 16 * 500) / 20 / 500)
    assert got.sla == 4 / 20
    assert got.budget == pytest.approx(1 - 0.04 / 0.95)
    assert got.adaptation == 0.0
    parts = 0.3 * 0.2 + 0.2 * 0.16 + 0.15 * (1 - 0.04 / 0.95) + 0.15 * 0.2
    assert got.score == round(0.75 * parts, 4)


def test_a_bankrupt_episode_shrinks_its_own_denominators_in_faithful_mode_alone() -> None:
    steps = [ok(i) for i in range(1, 5)] + [Step(5, 2, True, False, 0.10, 0.0, -10.0, bankrupt=True)]
    broke = episode_of(steps, bankrupt=True)
    assert grade(broke).success == 4 / 5
    assert grade(broke).sla == 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=20, max_size=20), st.integers(0, 999), st.sampled_from(names()))
def test_grades_lie_between_0_and_1_and_strict_success_is_never_higher(
    actions: list[int], seed: int, name: str
) -> None:
    episode = Episode(scenario(name), seed, "exact")
    for action in actions:
        episode.step(action)
    faithful, strict = grade(episode), grade(episode, "strict")
    for got in (faithful, strict):
        parts = (got.success, got.latency, got.budget, got.sla, got.adaptation, got.score)
        assert all(0.0 <= part <= 1.0 + 1e-12 for part in parts)
    assert strict.success <= faithful.success + 1e-12
    spent = sum(step.cost_usd for step in episode.steps if step.routed and not step.bankrupt)
    assert episode.bankrupt or episode.left_usd == pytest.approx(episode.scenario.budget_usd - spent)


def test_variants_draw_target_onset_and_end_anew() -> None:
    drawn = [Episode(scenario("shuffled"), seed).hidden for seed in range(300)]
    assert {target for hidden in drawn for target in hidden.targets} == {0, 1, 2}
    assert {hidden.onsets for hidden in drawn} != {drawn[0].onsets}
    low, high = scenario("shuffled").variant.onset  # type: ignore[union-attr]
    assert {onset for hidden in drawn for onset in hidden.onsets} == set(range(low, high + 1))
    assert all(len(set(hidden.targets)) == 2 for hidden in drawn)


def test_a_shuffled_provider_falls_and_recovers() -> None:
    chosen = replace(scenario("shuffled"), horizon=40)
    episode = Episode(chosen, 3)
    target, onset = episode.hidden.targets[0], episode.hidden.onsets[0]
    path = []
    for _ in range(40):
        episode.step(3)
        path.append(episode.hidden.health[target])
    assert path[max(onset - 2, 0)] == chosen.reliability[target]
    assert min(path) < 0.15
    assert path[-1] == chosen.reliability[target]


def test_flapping_goes_down_and_up_again_more_than_once() -> None:
    episode = Episode(replace(scenario("flapping"), horizon=60), 1)
    target, path = episode.hidden.targets[0], []
    for _ in range(60):
        episode.step(3)
        path.append(episode.hidden.health[target])
    assert sum(a > b for a, b in pairwise(path)) >= 3
    assert len(set(path)) == 2


@pytest.mark.parametrize("schedule", ["A5 B14", "A5 D15", "five A"])
def test_bad_schedules(schedule: str) -> None:
    with pytest.raises(UserError, match="schedule"):
        parse_schedule(scenario("easy").brief(), schedule)


def test_every_shipped_schedule_fits() -> None:
    for name in names():
        chosen = scenario(name)
        assert chosen.schedule, name
        assert len(parse_schedule(chosen.brief(), chosen.schedule)) == chosen.horizon


def test_the_policies_seed_is_their_own() -> None:
    chosen = scenario("hard_multi")
    policy = make_policy("random", chosen)
    one, two = play(chosen, policy, 4), play(chosen, policy, 4)
    assert [step.action for step in one.steps] == [step.action for step in two.steps]
    assert play(chosen, make_policy("always_shed", chosen), 0).summary()["latency_ms"] == 0.0
