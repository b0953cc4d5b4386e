"""Every registered predictor keeps its contract."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.contracts.predictor import N_TRAIN, RULES, rows
from dacr.core.registry import predictors

NAMES = predictors.names()


def test_there_are_predictors() -> None:
    assert set(NAMES) >= {"logistic", "knn", "joint", "boosting", "base_rate"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_predictor(name, rule) -> None:
    rule(predictors.get(name))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "base_rate"])
def test_ours_learn_more_than_the_base_rate(name: str) -> None:
    x, y = rows()
    p = predictors.get(name)().fit(x[:N_TRAIN], y[:N_TRAIN]).predict(x[N_TRAIN:])
    assert np.square(p - y[N_TRAIN:]).mean() < np.square(y[:N_TRAIN].mean(axis=0) - y[N_TRAIN:]).mean()
