"""Orders are permutations that do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.replay.protocols.orders import Adversarial, Blocky, Drift, Sorted

DOMAINS = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
ORDERS = [Sorted(), Blocky(size=7), Adversarial(), Drift(sharpness=4.0)]


@pytest.mark.parametrize("protocol", ORDERS, ids=lambda p: p.name)
@given(
    domain=st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=40),
    seed=st.integers(0, 3),
)
@settings(deadline=None, max_examples=20)
def test_every_order_is_a_permutation_and_repeatable(protocol, domain: list[str], seed: int) -> None:
    order = protocol.order(domain, seed)
    assert sorted(order.tolist()) == list(range(len(domain)))
    assert order.tolist() == protocol.order(domain, seed).tolist()


@pytest.mark.parametrize("protocol", ORDERS, ids=lambda p: p.name)
def test_seeds_give_other_orders(protocol) -> None:
    assert protocol.order(DOMAINS, 1).tolist() != protocol.order(DOMAINS, 2).tolist()


def runs_of(names: np.ndarray) -> int:
    return 1 + int((names[1:] != names[:-1]).sum())


def test_sorted_is_one_block_per_domain() -> None:
    names = np.array(DOMAINS)
    assert {runs_of(names[Sorted().order(DOMAINS, seed)]) for seed in range(5)} == {3}
    assert len({names[Sorted().order(DOMAINS, seed)][0] for seed in range(20)}) == 3


def test_blocky_keeps_blocks_together() -> None:
    names = np.array(DOMAINS)[Blocky(size=10).order(DOMAINS, 0)]
    assert all(len(set(block)) == 1 for block in names.reshape(10, 10))
    assert runs_of(names) > 3


def test_adversarial_puts_large_gains_and_small_domains_last() -> None:
    gain = np.random.default_rng(0).random(100).round(1)
    assert (np.diff(gain[Adversarial().order(DOMAINS, 0, gain)]) >= 0).all()
    assert np.array(DOMAINS)[Adversarial().order(DOMAINS, 0)].tolist() == DOMAINS


def test_drift_turns_the_mix_over() -> None:
    domain = np.array(["a", "b"] * 500)
    names = domain[Drift(sharpness=4.0).order(domain.tolist(), 0)]
    first, last = (names[:200] == names[0]).mean(), (names[-200:] == names[0]).mean()
    assert max(first, last) > 0.9 and min(first, last) < 0.1
    flat = domain[Drift(sharpness=1.0).order(domain.tolist(), 0)]
    assert abs((flat[:500] == "a").mean() - 0.5) < 0.06


@pytest.mark.parametrize("make", [lambda: Blocky(size=0), lambda: Drift(sharpness=0.5)])
def test_bad_arguments_are_refused(make) -> None:
    with pytest.raises(UserError, match=r"expected a (whole )?number of at least 1"):
        make()
