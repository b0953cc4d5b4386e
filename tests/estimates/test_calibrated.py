"""Calibrated predictions that are kept: the same as those that are computed, and only for the same inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dacr.core import cache as module
from dacr.core.cache import Cache
from dacr.core.rng import generator
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.estimates.calibrated import calibrated
from dacr.estimates.calibrators.platt import Platt
from dacr.estimates.estimator import Estimator

NAMES = ("platt", "isotonic", "base_slope", "shift", "by_domain", "base_rate", "multi_domain_temperature")


@pytest.fixture(scope="module")
def table(sample_long: Path) -> RoutingTable:
    table = load(sample_long)
    return table.with_latency(generator("latency").exponential(5.0, table.quality.shape) + 0.1)


def estimator(table: RoutingTable, cache: Cache) -> Estimator:
    split = split_queries(list(table.qid), list(table.domain), ("grade-school-math",))
    return Estimator(table, split.train, split.test, np.zeros(len(split.test)), 10.0, cache, n_jobs=1)


@pytest.mark.parametrize("name", NAMES)
def test_kept_predictions_are_those_that_are_computed(name: str, table: RoutingTable, tmp_path: Path) -> None:
    plain, cold, warm = (estimator(table, cache) for cache in (Cache(None), Cache(tmp_path), Cache(tmp_path)))
    for part in ("train", "test"):
        for one in (plain, cold, warm):
            np.testing.assert_array_equal(
                one.calibrated["logistic", name, part], plain.calibrated["logistic", name, part]
            )
    key = ("logistic", name)
    np.testing.assert_array_equal(warm.slopes[key], plain.slopes[key])
    assert key in cold.calibrators and key not in warm.calibrators, "nothing is fitted where all is known"
    fitted = [getattr(one, "a_", np.nan) for one in plain.calibrators[key]]
    np.testing.assert_array_equal(plain.slopes[key], fitted)


def given(**changes: Any) -> dict[str, Any]:
    rng = generator("given")
    raw, x = rng.random((30, 2)), rng.random((30, 3)).astype(np.float32)
    domain = np.array(["a", "b", "c"] * 10, dtype=object)
    fitted_on = {"p": rng.random((50, 2)), "unseen": None, "rest": "hash"}
    return {"make": Platt, "raw": raw, "domain": domain, "x": x, "fitted_on": fitted_on} | changes


def fit() -> tuple[Platt, ...]:
    rng = generator("fit")
    p = rng.random(50)
    return tuple(Platt().fit(p, (rng.random(50) < p).astype(float), ["a"] * 50) for _ in range(2))


def test_every_input_makes_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, base = Cache(tmp_path), given()

    class Firmer(Platt):
        """Not the package's."""

    def nudged(array: np.ndarray) -> np.ndarray:
        other = array.copy()
        other[-1, -1] = np.nextafter(other[-1, -1], array.dtype.type(2))
        return other

    monkeypatch.setattr(module, "is_own", lambda make: True)
    fitted_on = base["fitted_on"]
    changes: list[dict[str, Any]] = [
        {},
        {"make": Firmer},
        {"raw": nudged(base["raw"])},
        {"x": nudged(base["x"])},
        {"domain": np.array(["a", "b", "c"] * 9 + ["a", "b", "b"], dtype=object)},
        {"fitted_on": {**fitted_on, "p": nudged(fitted_on["p"])}},
        {"fitted_on": {**fitted_on, "unseen": fitted_on["p"]}},
        {"fitted_on": {**fitted_on, "rest": "other"}},
    ]
    for change in changes:
        calibrated(**given(**change), fitted=fit, cache=cache)
    assert len(list(tmp_path.iterdir())) == len(changes)
    for names in (("code_version", "loaded_code"), ("numerics",)):
        for name in names:
            monkeypatch.setattr(module, name, lambda names=names, **_: f"another {names}")
        calibrated(**given(), fitted=fit, cache=cache)
    assert len(list(tmp_path.iterdir())) == len(changes) + 2


def test_training_outcomes_and_labels_are_in_the_key(table: RoutingTable, tmp_path: Path) -> None:
    seen = set()

    def entries(one: Estimator) -> int:
        assert one.calibrated["logistic", "platt", "test"].shape == (len(one.test), table.n_model)
        seen.update(path.name for path in tmp_path.glob("calibrated-*"))
        return len(seen)

    plain = estimator(table, Cache(tmp_path))
    assert entries(plain) == 1
    assert entries(estimator(table, Cache(tmp_path))) == 1
    quality = table.quality.copy()
    quality[plain.train[-1], -1] = 0.5 if quality[plain.train[-1], -1] != 0.5 else 0.25
    assert entries(estimator(replace(table, quality=quality), Cache(tmp_path))) == 2
    label = table.domain.copy()
    label[plain.train[0]] = "another"
    assert entries(replace(estimator(table, Cache(tmp_path)), label=label)) == 3


def test_a_calibrator_from_outside_is_not_kept(tmp_path: Path) -> None:
    class Mine(Platt):
        """Not the package's."""

    p, slope = calibrated(**given(make=Mine), fitted=fit, cache=Cache(tmp_path))
    assert p.shape == (30, 2) and (slope > 0).all() and not list(tmp_path.iterdir())
