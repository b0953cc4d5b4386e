"""What every registered predictor must keep."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.registry import predictors
from dacr.core.rng import generator

NAMES = predictors.names()


@pytest.fixture(scope="module")
def data():
    rng = generator("predictor contract")
    x = rng.normal(size=(300, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-3 * x[:, :3] - np.array([0.5, 0.0, -0.5])))
    y = np.round((rng.uniform(size=p.shape) < p) * rng.choice([1.0, 0.75], p.shape), 2)
    return x, y


def test_there_are_predictors():
    assert set(NAMES) >= {"logistic", "knn", "joint", "boosting", "base_rate"}


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_probabilities_and_rows_stand_alone(name, data):
    x, y = data
    model = predictors.get(name)().fit(x[:200], y[:200])
    p = model.predict(x[200:])
    assert p.shape == (100, 3)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p[:7], np.vstack([model.predict(x[200 + i : 201 + i]) for i in range(7)]), atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_fitting_twice_gives_the_same(name, data):
    x, y = data
    first = predictors.get(name)().fit(x, y).predict(x)
    assert (first == predictors.get(name)().fit(x, y).predict(x)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "base_rate"])
def test_it_learns_more_than_the_base_rate(name, data):
    x, y = data
    p = predictors.get(name)().fit(x[:200], y[:200]).predict(x[200:])
    base = y[:200].mean(axis=0)
    assert np.square(p - y[200:]).mean() < np.square(base - y[200:]).mean()


@pytest.mark.parametrize("name", NAMES)
def test_one_class_one_row_and_missing_values(name, data):
    x, y = data
    sure = predictors.get(name)().fit(x, np.ones_like(y)).predict(x)
    assert np.isfinite(sure).all() and sure.min() > 0.9
    assert np.isfinite(predictors.get(name)().fit(x[:1], y[:1]).predict(x)).all()
    with pytest.raises(ValueError, match="finite"):
        predictors.get(name)().fit(x, np.where(y == 1, np.nan, y))
