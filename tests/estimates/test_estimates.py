"""Estimates: rows taken as asked, and nothing of the test part's outcomes in them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.cache import Cache
from dacr.core.rng import generator
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.estimates.estimator import Estimator
from dacr.estimates.fitted import clairvoyant
from dacr.types import UNKNOWN, Estimates, Outcomes

ARRAYS = [field.name for field in fields(Estimates) if field.name not in ("models", "domains")]


def some_estimates(n: int) -> Estimates:
    rng = generator("estimates", n)
    wide = {name: rng.random((n, 3)) for name in ("p_raw", "p", "cost_hat", "cost_upper", "p_late")}
    return Estimates(
        key=np.arange(n, dtype=np.uint64),
        features=rng.random((n, 2)).astype(np.float32),
        domain=rng.integers(0, 2, n),
        arrival_s=np.arange(n, dtype=float),
        models=("a", "b", "c"),
        domains=("d", "e"),
        **wide,
    )


@given(st.integers(1, 8), st.data())
@settings(deadline=None, max_examples=60)
def test_take_gives_the_rows_asked_for_in_the_order_asked_for(n: int, data: st.DataObject) -> None:
    whole = some_estimates(n)
    rows = data.draw(
        st.one_of(
            st.lists(st.integers(0, n - 1), max_size=12).map(lambda v: np.array(v, dtype=np.int64)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
            st.slices(n),
        )
    )
    taken = whole.take(rows)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(taken, name), getattr(whole, name)[rows])
    assert len(taken) == len(np.arange(n)[rows])
    assert (taken.models, taken.domains) == (whole.models, whole.domains)
    twice = taken.take(slice(None, None, -1))
    np.testing.assert_array_equal(twice.key, whole.key[rows][::-1])


def test_with_replaces_fields_of_a_copy_and_knows_no_others() -> None:
    whole = some_estimates(3)
    other = whole.with_(p=np.zeros((3, 3)))
    assert (other.p == 0).all() and (whole.p != 0).any() and other.key is whole.key
    with pytest.raises(TypeError, match="quality"):
        whole.with_(quality=np.zeros((3, 3)))
    assert not {"quality", "cost_usd", "latency_s", "late"} & set(ARRAYS), "estimates have no field for the truth"


@pytest.fixture(scope="module")
def table(sample_long: Path) -> RoutingTable:
    table = load(sample_long)
    return table.with_latency(generator("latency").exponential(5.0, table.quality.shape) + 0.1)


def estimator(table: RoutingTable, **changes) -> Estimator:
    split = split_queries(list(table.qid), list(table.domain), ("grade-school-math",))
    given = {"cache": Cache(None), "n_jobs": 1} | changes
    return Estimator(table, split.train, split.test, np.arange(len(split.test), dtype=float), 10.0, **given)


def test_no_estimate_depends_on_any_outcome_of_the_test_part(table: RoutingTable) -> None:
    plain = estimator(table)
    quality, cost, latency = table.quality.copy(), table.cost_usd.copy(), table.latency_s.copy()
    quality[plain.test], cost[plain.test], latency[plain.test] = 1 - quality[plain.test], 9.0, 99.0
    other = estimator(replace(table, quality=quality, cost_usd=cost, latency_s=latency))
    for part in ("training", "testing"):
        one = getattr(plain, part)("logistic", "base_slope")
        two = getattr(other, part)("logistic", "base_slope")
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name), f"{part}: {name}")


def test_training_estimates_do_not_depend_on_a_rows_own_outcome_but_its_predictor_does(table: RoutingTable) -> None:
    plain = estimator(table)
    row = plain.train[7]
    quality = table.quality.copy()
    quality[row] = 1 - quality[row]
    other = estimator(replace(table, quality=quality))
    for kind in ("oof", "lodo"):
        np.testing.assert_array_equal(plain.predictions("logistic", kind)[7], other.predictions("logistic", kind)[7])
    assert (plain.predictions("logistic", "insample")[7] != other.predictions("logistic", "insample")[7]).all()


def test_any_number_of_jobs_gives_the_same(table: RoutingTable) -> None:
    one, two = (estimator(table, n_jobs=n).testing("logistic", "base_slope") for n in (1, 2))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_the_cache_changes_nothing(table: RoutingTable, tmp_path: Path) -> None:
    fresh = estimator(table).testing("logistic", "platt")
    for _ in range(2):
        cached = estimator(table, cache=Cache(tmp_path)).testing("logistic", "platt")
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(fresh, name), getattr(cached, name))
    assert list(tmp_path.glob("logistic-*.npz")) and list(tmp_path.glob("features-*.npz"))


def test_domains_are_hidden_where_asked_and_features_may_be_given(table: RoutingTable) -> None:
    mine = generator("mine").normal(size=(table.n_query, 4)).astype(np.float32)
    hidden = estimator(table, features=mine)
    label = table.domain.copy()
    label[hidden.test] = ""
    hidden.label = label
    requests = hidden.testing("knn", "by_domain")
    assert set(requests.domain) == {UNKNOWN}
    np.testing.assert_array_equal(requests.features, mine[hidden.test])
    assert set(hidden.training("knn", "by_domain").domain) <= set(range(len(requests.domains)))


def test_estimates_are_sound(table: RoutingTable) -> None:
    one = estimator(table)
    for requests in (one.training("logistic", "base_slope"), one.testing("logistic", "base_slope")):
        for name in ("p_raw", "p", "p_late"):
            values = getattr(requests, name)
            assert values.shape == (len(requests), 11) and ((values >= 0) & (values <= 1)).all()
        assert (requests.cost_upper >= requests.cost_hat).all() and (requests.cost_hat > 0).all()
    # A mean cost, not a median: the training part's is reproduced.
    np.testing.assert_allclose(
        one.training("logistic", "base_slope").cost_hat.mean(axis=0), table.cost_usd[one.train].mean(axis=0)
    )


def test_clairvoyant_estimates_are_the_truth() -> None:
    requests, rng = some_estimates(4), generator("truth")
    truth = Outcomes(rng.random((4, 3)), rng.random((4, 3)), rng.random((4, 3)), rng.random((4, 3)) > 0.5)
    seen = clairvoyant(requests, truth)
    assert (seen.p == truth.quality).all() and (seen.cost_hat == truth.cost_usd).all()
    assert (seen.p_late == truth.late).all()
