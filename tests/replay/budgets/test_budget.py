"""The pacer's ledger and shadow prices, by hand and as properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.money import to_nano
from dacr.core.rng import generator
from dacr.replay.budgets.pacer import Pacer
from dacr.routers.terms import Terms
from dacr.types import Estimates

OFF = np.array([np.inf])
FIRST = np.array([0])


def beliefs(upper: list[float]) -> Estimates:
    nothing = np.zeros((1, len(upper)))
    return Estimates(
        key=np.zeros(1, dtype=np.uint64),
        features=np.zeros((1, 1), dtype=np.float32),
        domain=np.zeros(1, dtype=np.int64),
        p_raw=nothing,
        p=nothing,
        cost_hat=nothing,
        cost_upper=np.array([upper]),
        p_late=nothing,
        arrival_s=np.zeros(1),
        models=tuple(f"m{i}" for i in range(len(upper))),
        domains=("a",),
    )


def call(pacer: Pacer, upper: float, cost: float, late: float = 0.0) -> None:
    held = pacer.reserve(beliefs([upper]), np.array([0]))
    pacer.settle(FIRST, held, np.array([cost]), np.array([cost]), np.array([late]))


def money_step() -> float:
    """Return the step of the money dual at eta = 0.1: B = 1 for 3 requests, 2 spent, so cost / pace - 1 = 3."""
    pacer = Pacer(np.array([1.0]), OFF, horizon=3, eta=0.1)
    call(pacer, upper=2.0, cost=2.0)
    assert pacer.mu_cost.item() > 0
    return pacer.mu_cost.item() / 3


def test_price_of_money_by_hand() -> None:
    """B = 2 for 4 requests. Money left 8 -> 7 (pace 7/3) -> 1 (pace 1/2)."""
    step = money_step()
    pacer = Pacer(np.array([2.0]), OFF, horizon=4, eta=0.1)
    call(pacer, upper=3.0, cost=1.0)
    assert pacer.prices()[0].item() == 0  # [step (3/7 - 1)]+
    call(pacer, upper=3.0, cost=6.0)
    np.testing.assert_allclose(pacer.mu_cost, step * (6 / 0.5 - 1))
    np.testing.assert_allclose(pacer.prices()[0], [[11 * step / 2]])
    assert pacer.prices()[1].item() == 0


def test_price_of_lateness_by_hand() -> None:
    pacer = Pacer(OFF, np.array([0.2]), horizon=100, eta=0.1)
    call(pacer, 1.0, 1.0, late=0.0)
    assert pacer.prices()[1].item() == 0  # [-step]+
    call(pacer, 1.0, 1.0, late=1.0)  # step (1/0.2 - 1)
    step = pacer.mu_late.item() / 4
    assert step > 0
    np.testing.assert_allclose(pacer.prices()[1], [[4 * step / 0.2]])
    call(pacer, 1.0, 1.0, late=0.0)
    np.testing.assert_allclose(pacer.mu_late, 3 * step)
    assert pacer.prices()[0].item() == 0


def test_a_reservation_counts_until_the_call_is_settled() -> None:
    """Two open calls hold 3 each: of 8 only 2 + 2 (released) remain for 2 requests when the first costs 1."""
    pacer = Pacer(np.array([2.0]), OFF, horizon=4, eta=0.1)
    held = pacer.reserve(beliefs([3.0]), np.array([0]))
    pacer.reserve(beliefs([3.0]), np.array([0]))
    pacer.mu_cost[:] = 0.7
    pacer.settle(FIRST, held, np.array([1.0]), np.array([1.0]), np.array([0.0]))
    np.testing.assert_allclose(pacer.mu_cost, 0.7 + money_step() * (1.0 / 2.0 - 1))


def test_the_ledger_keeps_money_for_the_rest_by_hand() -> None:
    """100 USD for 100 requests, of which the other 99 need 0.99 each at the cheapest model: 1.99 may be held."""
    dear = [([True, False], 1.995), ([True, True], 1.98)]
    for expected, upper in dear:
        asked = beliefs([0.99, upper]).with_(cost_hat=np.array([[0.99, 1.5]]))
        assert Pacer(np.array([1.0]), OFF, horizon=100).open_to(asked).tolist() == [expected]
    asked = asked.with_(cost_upper=np.array([[9.0, 1.98]]))  # the cheapest is always open
    assert Pacer(np.array([1.0]), OFF, horizon=100).open_to(asked).tolist() == [[True, True]]
    assert Pacer(OFF, OFF, horizon=100).open_to(asked) is None


def test_a_first_call_may_not_put_much_at_risk_by_hand() -> None:
    """At the first of 100 requests 1 + .03 x 100 = 4 USD may be at risk, which must cover two such calls."""
    for expected, upper in [([True, False], 2.01), ([True, True], 1.99)]:
        asked = beliefs([0.1, upper]).with_(cost_hat=np.array([[0.1, 1.5]]))
        assert Pacer(np.array([1.0]), OFF, horizon=100).open_to(asked).tolist() == [expected]


def test_what_is_in_flight_stays_near_the_pace_by_hand() -> None:
    """One call at a mean of 1.5 USD is out, with 1.6 held, .6 ahead of an even pace, to be made up for in 50 requests:
    the next may put at most 2 (1 - .6 / 50) + 3 - 1.5 = 3.476 USD at risk, which must cover two calls; when its bill
    has come, (1 - .5 / 50) + 3."""
    for settled, limit in [(False, 1.738), (True, 1.995)]:
        for expected, upper in [([True, False], limit + 0.005), ([True, True], limit - 0.005)]:
            pacer = Pacer(np.array([1.0]), OFF, horizon=100)
            asked = beliefs([0.1, 1.6]).with_(cost_hat=np.array([[0.1, 1.5]]))
            pacer.open_to(asked)
            held = pacer.reserve(asked, np.array([1]))
            if settled:
                bill = np.array([1.5])
                pacer.settle(np.array([0]), held, bill, bill, np.array([0.0]))
            next_one = beliefs([0.1, upper]).with_(cost_hat=np.array([[0.1, 1.5]]))
            assert pacer.open_to(next_one).tolist() == [expected], (settled, upper)


@given(st.lists(st.tuples(st.floats(0, 1e-3), st.floats(0, 1e-3)), max_size=50))
@settings(deadline=None, max_examples=40)
def test_no_nano_dollar_is_lost(calls) -> None:
    pacer = Pacer(np.array([0.05]), OFF, horizon=1)
    ledger = pacer.ledger
    for held_usd, paid in calls:
        held = pacer.reserve(beliefs([held_usd]), np.array([0]))
        assert held[0] >= held_usd * 1e9 - 1e-3  # at least what was said
        assert (ledger.granted == ledger.free + ledger.reserved + ledger.spent).all()
        pacer.settle(FIRST, held, np.array([held_usd]), np.array([paid]), np.array([0.0]))
    assert ledger.reserved.tolist() == [0]
    assert ledger.spent.tolist() == [sum(int(to_nano([paid])[0]) for _, paid in calls)]


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_no_budget_no_price(calls) -> None:
    pacer = Pacer(OFF, OFF, horizon=len(calls))
    for upper, cost, late in calls:
        call(pacer, upper, cost, float(late))
    assert not pacer.on
    assert [price.item() for price in pacer.prices()] == [0.0, 0.0]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.booleans()), min_size=1, max_size=30),
    st.floats(0.01, 4),
    st.floats(0.01, 1),
)
@settings(deadline=None, max_examples=60)
def test_prices_are_finite_never_negative_and_runs_are_independent(calls, budget, share) -> None:
    alone = Pacer(np.array([budget]), np.array([share]), len(calls))
    both = Pacer(np.array([np.inf, budget]), np.array([np.inf, share]), len(calls))
    for upper, cost, late in calls:
        call(alone, upper, cost, float(late))
        held = both.reserve(_twice(beliefs([upper])), np.array([0, 0]))
        both.settle(np.array([0, 1]), held, np.full(2, cost), np.full(2, cost), np.full(2, float(late)))
    for one, two in zip(alone.prices(), both.prices(), strict=True):
        assert np.isfinite(two).all() and (two >= 0).all()
        np.testing.assert_allclose(two[:, 0], [0.0, one.item()])


def _twice(one: Estimates) -> Estimates:
    return one.take(np.array([0, 0]))


def test_a_greedy_buyer_is_held_to_its_budget() -> None:
    """Two models: value 1 at cost 1, value 0.4 at cost 0.1; the budget of 0.4 is a third of the dear calls."""
    rng = generator("greedy buyer")
    n, spent = 3000, 0.0
    pacer = Pacer(np.array([0.4]), OFF, horizon=n, eta=0.05)
    asked = beliefs([1.5, 0.15]).with_(cost_hat=np.array([[1.0, 0.1]]))
    for _ in range(n):
        value = np.array([[1.0, 0.4]]) * rng.uniform(0.5, 1.5)
        m = Terms(*pacer.prices(), pacer.open_to, pacer.reprice_cost).apply(value, asked).argmax(axis=1)
        held = pacer.reserve(asked, m)
        paid = asked.cost_hat[0, m] * rng.uniform(0.5, 1.5)
        spent += paid.item()
        pacer.settle(FIRST, held, asked.cost_hat[0, m], paid, np.zeros(1))
    assert 0.37 < spent / n <= 0.4
