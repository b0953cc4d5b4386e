"""Predictors against scikit-learn and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from dacr.core.rng import generator
from dacr.estimates.charges import charges
from dacr.estimates.predictors.base import Predictor
from dacr.estimates.predictors.cost import CostPredictor, cost_features
from dacr.estimates.predictors.folds import family_folds, out_of_fold, random_folds
from dacr.estimates.predictors.knn import KnnPredictor
from dacr.estimates.predictors.lateness import LatenessPredictor
from dacr.estimates.predictors.logistic import LogisticPredictor


@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
def test_logistic_equals_scikit_learn_on_weighted_labels(c: float) -> None:
    """A quality q is a label 1 of weight q and a label 0 of weight 1 - q."""
    rng = generator("logistic golden")
    n, n_feature, n_model = 400, 6, 3
    x = (rng.normal(size=(n, n_feature)) * [3, 1, 1, 0.3, 0.1, 0.03] + 0.5).astype(np.float32)
    p = 1 / (1 + np.exp(-x @ rng.normal(size=(n_feature, n_model)) - [1, 0, -2]))
    q = np.round(np.clip(p + rng.normal(0, 0.3, p.shape), 0, 1) * 4) / 4
    assert ((q > 0) & (q < 1)).mean() > 0.2
    ours = LogisticPredictor(c=c).fit(x, q).predict(x)
    label = np.repeat([1, 0], n)
    for m in range(n_model):
        theirs = LogisticRegression(C=c, tol=1e-10, max_iter=10_000)
        theirs.fit(np.vstack([x, x]).astype(float), label, sample_weight=np.concatenate([q[:, m], 1 - q[:, m]]))
        np.testing.assert_allclose(ours[:, m], theirs.predict_proba(x.astype(float))[:, 1], atol=1e-3)


class Memory(Predictor):
    """Predicts 1 for rows that it was fitted on, 0 for others; x is the row's number."""

    def fit(self, x, y):
        self.known_ = set(np.asarray(x)[:, 0].tolist())
        return self

    def predict(self, x):
        return np.array([[float(value in self.known_)] for value in np.asarray(x)[:, 0].tolist()])


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=40)
def test_out_of_fold_leaves_a_row_out_and_nothing_else(fold, n_jobs) -> None:
    folds = np.array(fold)
    x, y = np.arange(len(folds), dtype=np.float32)[:, None], np.full((len(folds), 1), 0.25)
    if len(set(fold)) == 1:
        assert (out_of_fold(Memory, x, y, folds) == 0.25).all()  # nothing to leave out: the mean
        return
    seen: list[set[float]] = []

    class Recording(Memory):
        def fit(self, x, y):
            super().fit(x, y)
            seen.append(self.known_)
            return self

    assert (out_of_fold(Recording, x, y, folds, n_jobs) == 0).all()
    expected = [{float(i) for i, k in enumerate(fold) if k != left} for left in sorted(set(fold))]
    assert sorted(map(sorted, seen)) == sorted(map(sorted, expected))


@given(st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=60, unique=True))
@settings(deadline=None, max_examples=50)
def test_random_folds_are_even(qid: list[str]) -> None:
    fold = random_folds(qid)
    size = np.bincount(fold)
    assert size.max() - size.min() <= 1 and fold.max() < 5
    order = np.argsort(qid)
    by_name = random_folds([qid[i] for i in order])
    assert (by_name == fold[order]).all()  # a fold belongs to the query, not to its row


@given(st.lists(st.sampled_from([f"family{i}" for i in range(12)]), min_size=1, max_size=60))
@settings(deadline=None, max_examples=50)
def test_family_folds_never_split_a_family(family: list[str]) -> None:
    fold = family_folds(np.array(family, dtype=object))
    assert all(len(set(fold[np.array(family) == name])) == 1 for name in set(family))
    assert len(set(fold)) == min(8, len(set(family)))


COST = np.array([[1.0], [1.0], [4.0], [16.0]])
FOLD = np.array([0, 0, 1, 1])
BLIND = np.zeros((4, 2))


def test_cost_by_hand() -> None:
    """Without information a fold is predicted by the other's geometric mean: 8 for the first, 1 for the second."""
    cost = CostPredictor(upper=0.95).fit(BLIND, COST, FOLD)
    smearing = (1 + 1 + 4 + 16) / (8 + 8 + 1 + 1)
    np.testing.assert_allclose(cost.smearing_, smearing)
    np.testing.assert_allclose(cost.out_of_fold_[:, 0], np.array([8, 8, 1, 1]) * smearing)
    mean, upper = cost.predict(BLIND[:1])
    np.testing.assert_allclose(mean, 64**0.25 * smearing)
    # cost / prediction = 1/8, 1/8, 4, 16: the .95 quantile stands .85 of the way from 4 to 16.
    np.testing.assert_allclose(upper, 64**0.25 * 14.2)


def test_smearing_reproduces_the_mean_cost() -> None:
    rng = generator("smearing")
    z = cost_features(rng.integers(10, 5000, 500), rng.integers(10, 300, 500), rng.normal(size=(500, 3)))
    cost_usd = np.exp(0.5 * z[:, :1] + rng.normal(0, 1.5, (500, 2))) * [1e-5, 1e-2]
    fitted = CostPredictor().fit(z, cost_usd, np.arange(500) % 5)
    np.testing.assert_allclose(fitted.out_of_fold_.mean(axis=0), cost_usd.mean(axis=0))
    naive = fitted.out_of_fold_ / fitted.smearing_
    assert (naive.mean(axis=0) < 0.6 * cost_usd.mean(axis=0)).all()  # what exp of a mean log would say
    mean, upper = fitted.predict(z * 100)
    assert (upper >= mean).all() and np.isfinite(upper).all()


def test_free_calls_cost_nothing() -> None:
    fitted = CostPredictor().fit(BLIND, np.zeros((4, 1)), FOLD)
    mean, upper = fitted.predict(BLIND)
    assert (mean == 0).all() and (upper == 0).all()
    costs = np.zeros((len(BLIND), 1))
    for part, value in charges(BLIND, BLIND, costs, 1.0 + costs, 5.0, FOLD).items():
        assert np.isfinite(value).all() and (part.startswith("late") or (value == 0).all()), part


def test_lateness_by_hand() -> None:
    """Residuals are log(1/8), log(1/8), log 4, log 16; P = (residuals above the gap + 1/2) / 5."""
    fitted = LatenessPredictor().fit(BLIND, COST, 5.0, FOLD)
    # gaps log(5/8) and log 5; for a new row log(5 / 64^(1/4))
    np.testing.assert_allclose(fitted.out_of_fold_[:, 0], [0.5, 0.5, 0.3, 0.3])
    np.testing.assert_allclose(fitted.predict(BLIND[:1]), 0.5)


def test_lateness_is_calibrated_and_falls_with_tau() -> None:
    rng = generator("lateness")
    z = rng.normal(size=(4000, 2))
    latency = np.exp(1.0 + z[:, :1] + rng.gumbel(0, 0.5, (4000, 1)))
    train, test, fold = slice(0, 3000), slice(3000, None), np.arange(3000) % 5
    previous = np.ones((1000, 1))
    for tau in (1.0, 3.0, 10.0, 1e6):
        p = LatenessPredictor().fit(z[train], latency[train], tau, fold).predict(z[test])
        assert ((p > 0) & (p < 1)).all() and (p <= previous + 1e-12).all()
        assert abs(p.mean() - (latency[test] > tau).mean()) < 0.03
        previous = p


def test_knn_is_the_mean_of_the_nearest_by_hand() -> None:
    x = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], dtype=np.float32)
    y = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0], [0.0, 0.5]])
    p = KnnPredictor(k=2).fit(x, y).predict(np.array([[1, 0], [0, 1]], dtype=np.float32))
    np.testing.assert_allclose(p, [[0.75, 0.0], [0.25, 0.5]])
