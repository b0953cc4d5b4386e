"""The shift posterior against a dense Gaussian, and by hand; learnt costs by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.contracts.problem import make_problem
from dacr.core.rng import generator
from dacr.routers.dacr.posterior import DomainShift, squash
from dacr.routers.dacr.spending import CostPrior, CostShift


class Dense:
    """The same model without any trick: a Gaussian over (u, v_1 .. v_M), w_m = u + v_m."""

    def __init__(self, sd_u: float, sd_v: np.ndarray) -> None:
        self.precision = np.diag(1 / np.square(np.concatenate([[sd_u], sd_v])))
        self.information = np.zeros(1 + len(sd_v))
        self.reading = np.hstack([np.ones((len(sd_v), 1)), np.eye(len(sd_v))])

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        cov = np.linalg.inv(self.precision)
        return self.reading @ cov @ self.information, self.reading @ cov @ self.reading.T

    def update(self, m: int, z: float, y: float) -> None:
        mean, cov = self.posterior()
        p = 1 / (1 + np.exp(-(z + mean[m]) / np.sqrt(1 + np.pi * cov[m, m] / 8)))
        row = self.reading[m]
        self.precision += p * (1 - p) * np.outer(row, row)
        self.information += (p * (1 - p) * mean[m] + y - p) * row


def one(value: float | int) -> np.ndarray:
    return np.array([value])


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 4), st.floats(-3, 3), st.floats(0, 1)), max_size=12),
    st.floats(0.05, 2),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_posterior_equals_the_dense_gaussian(n_model, events, sd_u, seed) -> None:
    sd_v = generator("prior", seed).uniform(0.05, 2, n_model)
    dense = Dense(sd_u, sd_v)
    shift = DomainShift(2, np.array([9.0, sd_u]), np.vstack([np.ones(n_model), sd_v]))
    for m, z, y in events:
        m %= n_model
        dense.update(m, z, y)
        shift.update(one(1), one(1), one(m), one(z), one(y))
    mean, cov = dense.posterior()
    got = shift.posterior(one(1), one(1))
    np.testing.assert_allclose(got.mean[0], mean, atol=1e-8)
    np.testing.assert_allclose(got.sd[0], np.sqrt(np.diag(cov)), rtol=1e-8)
    drawn = np.outer(got.through_u[0], got.through_u[0]) + np.diag(got.own_sd[0] ** 2)
    np.testing.assert_allclose(drawn, cov, atol=1e-8)  # joint draws have the right covariances
    untouched = shift.posterior(one(0), one(1))  # another run
    np.testing.assert_allclose(untouched.mean, 0)
    np.testing.assert_allclose(untouched.sd[0], np.sqrt(sd_u**2 + sd_v**2))


def test_one_success_by_hand() -> None:
    """Var w = 2, p = 1/2: precision 1/2 + 1/4, information 0 + 1/2; u takes half of the shift."""
    shift = DomainShift(1, np.array([1.0]), np.ones((1, 2)))
    shift.update(one(0), one(0), one(0), one(0.0), one(1.0))
    got = shift.posterior(one(0), one(0))
    np.testing.assert_allclose(got.mean[0], [2 / 3, 1 / 3])
    np.testing.assert_allclose(got.sd[0, 0], np.sqrt(4 / 3))


def test_full_information_is_a_site_for_every_model_at_the_same_belief() -> None:
    z, y = np.array([[0.3, -1.0, 2.0]]), np.array([[1.0, 0.25, 0.0]])
    shift = DomainShift(1, np.array([0.7]), np.full((1, 3), 0.5))
    shift.update_all(one(0), one(0), z, y)
    dense = Dense(0.7, np.full(3, 0.5))
    p = [squash(one_z, np.sqrt(0.7**2 + 0.5**2)) for one_z in z[0]]
    for m in range(3):
        dense.precision += p[m] * (1 - p[m]) * np.outer(dense.reading[m], dense.reading[m])
        dense.information += (y[0, m] - p[m]) * dense.reading[m]
    np.testing.assert_allclose(shift.posterior(one(0), one(0)).mean[0], dense.posterior()[0])


def test_much_feedback_finds_the_truth() -> None:
    rng = generator("much feedback")
    shift = DomainShift(1, np.array([1.0]), np.full((1, 2), 0.8))
    for _ in range(3000):
        m = int(rng.integers(2))
        p = 1 / (1 + np.exp(-[1.5, -1.0][m]))
        shift.update(one(0), one(0), one(m), one(0.0), one(float(rng.random() < p)))
    got = shift.posterior(one(0), one(0))
    np.testing.assert_allclose(got.mean[0], [1.5, -1.0], atol=0.2)
    assert (got.sd < 0.12).all()


def test_squash_is_close_to_the_true_expectation() -> None:
    draws = generator("squash").normal(size=200_000)
    for mean, sd in [(0.0, 1.0), (2.0, 0.5), (-1.0, 2.0)]:
        true = (1 / (1 + np.exp(-(mean + sd * draws)))).mean()
        assert squash(mean, sd) == pytest.approx(true, abs=0.02)


def test_cost_factor_by_hand() -> None:
    """A call predicted at 1 USD cost 2, k = 1 / .5^2: shared factor 2^(1/5); its own (2 + 4 * 2^(1/5)) / (1 + 4)."""
    cost = CostShift(1, CostPrior(np.array([0.5]), np.array([1.0, 1.0])))
    np.testing.assert_allclose(cost.factor(one(0), one(0)), [[1.0, 1.0]])
    cost.update(one(0), one(0), one(0), one(1.0), one(2.0))
    np.testing.assert_allclose(cost.factor(one(0), one(0)), [[(2 + 4 * 2**0.2) / 5, 2**0.2]])


def test_cost_factor_does_not_depend_on_the_unit_and_ignores_free_calls() -> None:
    prior = CostPrior(np.full(2, 0.5), np.full(2, 0.4))
    small, large = CostShift(1, prior), CostShift(1, prior)
    for predicted, cost in [(1.0, 3.0), (2.0, 1.0), (0.5, 0.5)]:
        small.update(one(0), one(1), one(1), one(predicted * 1e-6), one(cost * 1e-6))
        large.update(one(0), one(1), one(1), one(predicted), one(cost))
    large.update(one(0), one(1), one(1), one(1.0), one(0.0))
    np.testing.assert_allclose(small.factor(one(0), one(1)), large.factor(one(0), one(1)))
    np.testing.assert_allclose(large.factor(one(0), one(0)), 1.0)  # another domain


def test_cost_factor_finds_the_true_ratio_of_each_model() -> None:
    rng = generator("cost factor")
    cost = CostShift(1, CostPrior(np.full(1, 0.5), np.full(2, 0.5)))
    for _ in range(2000):
        m = int(rng.integers(2))
        cost.update(one(0), one(0), one(m), one(1e-3), one(1e-3 * [3.0, 0.5][m] * rng.lognormal(-0.125, 0.5)))
    np.testing.assert_allclose(cost.factor(one(0), one(0))[0], [3.0, 0.5], rtol=0.06)


def test_the_upper_cost_of_an_unseen_domain_narrows_as_bills_come() -> None:
    """Before any bill it stands at exp(1.645 * .5) times the mean; after n at .5 sqrt(k / (k + n)), k = .4^2 / .5^2."""
    shift = CostShift(1, CostPrior(np.full(2, 0.5), np.full(4, 0.4)))
    requests = make_problem().requests.take(np.array([0])).with_(domain=one(0))
    requests = requests.with_(cost_upper=requests.cost_hat)
    before = shift.correct(one(0), requests)
    np.testing.assert_allclose(before["cost_upper"][0, 0] / before["cost_hat"][0, 0], np.exp(1.645 * 0.5))
    for _ in range(10):
        shift.update(one(0), one(0), one(0), requests.cost_hat[0, :1], requests.cost_hat[0, :1])
    after = shift.correct(one(0), requests)
    expected = np.exp(1.645 * 0.5 * np.sqrt(0.64 / 10.64))
    np.testing.assert_allclose(after["cost_upper"][0, 0] / after["cost_hat"][0, 0], expected)
