"""What protocols do to outcomes, feedback and choices, position by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dacr.core.errors import UserError
from dacr.replay.protocols.combined import parse
from dacr.replay.protocols.effects import Effects
from dacr.replay.protocols.models import Degrade, LateJoiner, PriceChange
from dacr.replay.protocols.ratings import Delayed, Poisoned, Sparse
from dacr.routers.terms import Terms, called_of, only
from dacr.types import SHED, Estimates, Floats, Outcomes

MODELS = ("cheap", "mid", "strong")
CALLED = np.array([0, 2])


def estimates() -> Estimates:
    p = np.array([[0.2, 0.4, 0.9], [0.6, 0.2, 0.9]])
    cost = np.array([[1.0, 2.0, 4.0]] * 2)
    return Estimates(
        key=np.arange(2, dtype=np.uint64),
        features=np.zeros((2, 1), dtype=np.float32),
        domain=np.zeros(2, dtype=np.int64),
        p_raw=p,
        p=p,
        cost_hat=cost,
        cost_upper=2 * cost,
        p_late=np.zeros((2, 3)),
        arrival_s=np.zeros(2),
        models=MODELS,
        domains=("d",),
    )


def called(effects: Effects, t: int, quality: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return quality and cost of the called models, one request each."""
    wide = [np.tile(values[:, None], len(MODELS)) for values in (quality, cost)]
    had = effects.outcomes(t, Outcomes(wide[0], wide[1], wide[0], wide[0]))
    own = (np.arange(len(CALLED)), CALLED)
    return had.quality[own], had.cost_usd[own]


def test_a_model_degrades_from_its_moment_on() -> None:
    effects = Degrade(model="strong", at=0.5, factor=0.25).effects(4, MODELS, 0)
    quality, cost = np.array([0.8, 0.8]), np.array([1.0, 4.0])
    for t, expected in [(1, [0.8, 0.8]), (2, [0.8, 0.2])]:
        got, paid = called(effects, t, quality, cost)
        np.testing.assert_allclose(got, expected)
        np.testing.assert_array_equal(paid, cost)


def test_a_price_changes_silently_or_announced() -> None:
    silent = PriceChange(model="strong", at=0.25, factor=3.0).effects(4, MODELS, 0)
    announced = PriceChange(model="strong", at=0.25, factor=3.0, announced=True).effects(4, MODELS, 0)
    for effects in (silent, announced):
        assert called(effects, 1, np.ones(2), np.array([1.0, 4.0]))[1].tolist() == [1.0, 12.0]
        assert called(effects, 0, np.ones(2), np.array([1.0, 4.0]))[1].tolist() == [1.0, 4.0]
    now = estimates()
    assert silent.estimates(1, now) is now and announced.estimates(0, now) is now
    assert announced.estimates(1, now).cost_hat[0].tolist() == [1.0, 2.0, 12.0]
    assert announced.estimates(1, now).cost_upper[0].tolist() == [2.0, 4.0, 24.0]


def test_a_late_joiner_is_closed_and_unknown() -> None:
    effects = LateJoiner(model="strong", at=0.5).effects(4, MODELS, 0)
    there = effects.there_at(1, 2)
    assert there is not None and effects.there_at(2, 2) is None
    scores = only(there, None).apply(np.array([[0.1, 0.2, 0.9]] * 2), estimates())
    assert scores.argmax(axis=1).tolist() == [1, 1]
    assert effects.cold is not None and effects.cold.tolist() == [False, False, True]
    assert LateJoiner(model="strong", cold=False).effects(4, MODELS, 0).cold is None


def test_what_is_affordable_and_there_stays_open_and_never_nothing() -> None:
    effects = LateJoiner(model="strong", at=1.0).effects(4, MODELS, 0)
    purse = np.array([[True, False, True], [False, False, True]])
    there = effects.there_at(0, 2)
    assert there is not None
    terms = only(there, Terms(np.zeros((2, 1)), np.zeros((2, 1)), lambda _: purse))
    assert terms.is_open(estimates()).tolist() == [[True, False, False], [True, True, False]]


def test_what_was_never_recorded_is_closed_like_what_is_not_there() -> None:
    recorded = np.array([[True, False, True], [True, True, True]])
    assert Effects().there_at(0, 2, recorded) is recorded and Effects().there_at(0, 1, recorded[1:]) is None
    joins = LateJoiner(model="strong", at=1.0).effects(4, MODELS, 0)
    there = joins.there_at(0, 2, recorded)
    assert there is not None and there.tolist() == [[True, False, False], [True, True, False]]
    nothing = np.array([[False, False, False], [False, True, False]])
    assert only(nothing, None).is_open(estimates()).tolist() == [[True] * 3, [False, True, False]]  # type: ignore[union-attr]
    assert called_of(nothing, np.array([2, 1])).tolist() == [SHED, 1]
    assert called_of(nothing, np.array([SHED, 1])).tolist() == [SHED, 1]


def test_prices_are_solved_for_what_is_there() -> None:
    """A purse is shown no value and no cost of a model that can't be called: its price is that of the others."""
    there, seen = np.array([[True, False, True], [True, True, True]]), []

    def watch(values: Floats, _: Estimates) -> None:
        seen.append(values)

    def purse(beliefs: Estimates) -> None:
        seen.append(beliefs.cost_hat)

    zero = np.zeros((2, 1))
    only(there, Terms(zero, zero, purse, watch, reprice_late=watch)).apply(np.ones((2, 3)), estimates())
    late, money, cost = seen
    assert late.tolist() == money.tolist() == [[1.0, -np.inf, 1.0], [1.0, 1.0, 1.0]]
    assert cost.tolist() == [[1.0, np.inf, 4.0], [1.0, 2.0, 4.0]]


def test_ratings_sparse_delayed_poisoned() -> None:
    sparse = Sparse(share=0.2).effects(3, MODELS, 0)
    np.testing.assert_allclose(sparse.p_missing(0, np.array([0.0, 0.5])), [0.8, 0.9])
    assert Delayed(by=7).effects(3, MODELS, 0).rating_at(2) == (7, 0.0)
    lies = Poisoned(share=1.0, at=0.5).effects(4, MODELS, 0)
    np.testing.assert_allclose(lies.told(np.array([1, 2]), np.array([0.3, 0.3])), [0.3, 0.7])
    assert called(lies, 3, np.array([0.3, 0.3]), np.ones(2))[0].tolist() == [0.3, 0.3], "scored as it was"
    share = Poisoned(share=0.3).effects(5000, MODELS, 1).flip
    assert share is not None and abs(share.mean() - 0.3) < 0.03


def test_the_twin_is_told_what_happened_and_the_lies() -> None:
    truth = Outcomes(np.full((1, 3), 0.8), np.ones((1, 3)), np.ones((1, 3)), np.zeros((1, 3), dtype=bool))
    effects = Degrade(model="mid", at=0.0, factor=0.5).effects(2, MODELS, 0)
    np.testing.assert_allclose(effects.told_of_all(0, truth).quality, [[0.8, 0.4, 0.8]])
    both = effects.and_(Poisoned(share=1.0).effects(2, MODELS, 0))
    np.testing.assert_allclose(both.told_of_all(0, truth).quality, [[0.2, 0.6, 0.2]])
    np.testing.assert_allclose(both.outcomes(0, truth).quality, [[0.8, 0.4, 0.8]])


def test_the_twin_is_told_nothing_of_a_model_that_has_not_joined() -> None:
    cues = np.ones((1, 3, 2), dtype=np.float32)
    truth = Outcomes(np.full((1, 3), 0.8), np.ones((1, 3)), np.ones((1, 3)), np.zeros((1, 3), dtype=bool), cues)
    effects = LateJoiner(model="mid", at=0.5).effects(2, MODELS, 0).and_(Poisoned(share=1.0).effects(2, MODELS, 0))
    before, after = effects.told_of_all(0, truth), effects.told_of_all(1, truth)
    for name in ("quality", "cost_usd", "latency_s", "late", "cues"):
        assert np.isnan(getattr(before, name)[:, 1]).all() and np.isfinite(getattr(before, name)[:, [0, 2]]).all()
        assert np.isfinite(getattr(after, name)).all()
    np.testing.assert_allclose(after.quality, 0.2)


def test_references_see_what_the_stream_really_had() -> None:
    truth = Outcomes(np.full((3, 3), 0.8), np.ones((3, 3)), np.ones((3, 3)), np.zeros((3, 3), dtype=bool))
    effects = Degrade(model="mid", at=0.5, factor=0.5).effects(3, MODELS, 0)
    poisoned = effects.and_(Poisoned(share=1.0).effects(3, MODELS, 0))
    had = poisoned.over(np.array([2, 1, 0]), truth).quality
    np.testing.assert_allclose(had[:, 1], [0.4, 0.8, 0.8])
    assert poisoned.there(np.array([2, 1, 0])) is None
    late = LateJoiner(model="mid", at=0.5).effects(3, MODELS, 0)
    there = late.there(np.array([2, 1, 0]))
    assert there is not None and there[:, 1].tolist() == [True, False, False] and there[:, [0, 2]].all()


def test_announced_prices_one_position_per_request() -> None:
    effects = PriceChange(model="strong", at=0.5, factor=3.0, announced=True).effects(4, MODELS, 0)
    assert effects.estimates(np.array([1, 2]), estimates()).cost_hat[:, 2].tolist() == [4.0, 12.0]


def test_a_dated_file_of_prices_changes_what_it_lists(tmp_path: Path) -> None:
    """By hand: cheap 2/2 -> 1/1 is x .5; strong 100/200 -> 50/200 is (3 x 50 + 200) / (3 x 100 + 200) = x .7."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(
        "models:\n  cheap: {price_per_million_input: 2, price_per_million_output: 2}\n"
        "  strong: {price_per_million_input: 100, price_per_million_output: 200}\n"
    )
    listed = (
        "as_of: 2026-05-01\nmodels:\n  cheap: {price_per_million_input: 1, price_per_million_output: 1}\n"
        "  strong: {price_per_million_input: 50, price_per_million_output: 200}\n"
    )
    new.write_text(listed)
    change = parse(f"price_change:prices={new},was={old},at=0.5,announced=true")
    effects = change.effects(4, MODELS, 0)
    assert effects.cost_factor is not None and effects.known_cost_factor is effects.cost_factor
    factor = dict(zip(MODELS, effects.cost_factor[2].tolist(), strict=True))
    assert factor == pytest.approx({"cheap": 0.5, "mid": 1.0, "strong": 0.7}) and (effects.cost_factor[:2] == 1).all()
    assert str(change) == f"price_change:at=0.5,announced=true,prices={new},was={old}"
    one = parse(f"price_change:model=strong,prices={new},was={old}").effects(4, MODELS, 0)
    assert one.cost_factor is not None and one.cost_factor[3].tolist() == pytest.approx([1.0, 1.0, 0.7])
    for text, says in (
        (listed.replace("as_of: 2026-05-01\n", ""), "expected as_of, the day of the price of 'cheap'"),
        (listed.replace("cheap", "other").replace("strong", "more"), "expected prices of cheap, mid, strong"),
        (listed.replace("cheap", "mid"), "expected a price above 0 of 'mid' before the change"),
    ):
        new.write_text(text)
        with pytest.raises(UserError, match=says):
            change.effects(4, MODELS, 0)
    with pytest.raises(UserError, match="model=: expected a model's name, or prices=FILE"):
        parse("price_change:factor=3")


def test_nothing_changes_nothing() -> None:
    none, now = Effects(), estimates()
    quality = np.array([0.5, 1.0])
    assert not none.any and none.estimates(0, now) is now and none.there_at(0, 2) is None
    assert none.told(0, quality) is quality and none.p_missing(0, quality) is quality and none.rating_at(0) == (0, 0.0)
    truth = Outcomes(quality[None], quality[None], quality[None], quality[None])
    assert none.outcomes(0, truth) is truth


def test_effects_combine() -> None:
    twice = Sparse(share=0.5).effects(2, MODELS, 0).and_(Sparse(share=0.5).effects(2, MODELS, 0))
    np.testing.assert_allclose(twice.p_miss, 0.75)
    later = Delayed(by=3).effects(2, MODELS, 0).and_(Delayed(by=4).effects(2, MODELS, 0))
    assert later.rating_at(0)[0] == 7


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Degrade(model="stron").effects(4, MODELS, 0), "nearest is 'strong'"),
        (lambda: Degrade(model="mid", factor=2.0), "from 0 to 1"),
        (lambda: PriceChange(model="mid", factor=-1.0), "at least 0"),
        (lambda: Sparse(share=1.5), "from 0 to 1"),
        (lambda: LateJoiner(model="only").effects(4, ("only",), 0), "none is left"),
    ],
)
def test_bad_arguments_are_refused(make, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make()
