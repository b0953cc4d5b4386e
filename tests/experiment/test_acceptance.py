"""Accept thresholds: set on training alone, and what came of them on the test part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.table import load
from dacr.experiment.acceptance import ALPHAS, Acceptance
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.selective import accept_threshold
from dacr.replay.kept import decided_in_training
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup, set_up

NAMES = ("static", "dacr", "linucb", "random", "cascade", "oracle", "rules", "zero")


@pytest.fixture(scope="module")
def setup(sample_long: Path) -> Setup:
    settings = ExperimentSettings(
        ood_holdout=StrList(("grade-school-math",)),
        lambdas=FloatList((0.0, 50.0)),
        orders=2,
        seeds=IntList((1,)),
        n_jobs=1,
    )
    return set_up(settings, load(sample_long), Cache(None))[1]


def table_of(setup: Setup) -> pd.DataFrame:
    made = Acceptance(setup)
    for name in NAMES:
        entry = enter(name, setup)
        made.add(entry, play(entry, setup.world))
    return made.tables()["acceptance"]


def test_what_was_realised_is_that_of_the_decisions(setup: Setup) -> None:
    table = table_of(setup)
    assert {"static", "dacr", "linucb"} <= set(table["policy"]), table["policy"].unique()
    assert not {"cascade", "oracle", "rules"} & set(table["policy"])
    assert set(table["alpha"]) == set(ALPHAS) and set(table["part"]) == {"all", "unseen"}
    entry = enter("static", setup)
    predictor, calibrator = "logistic", entry.points[0].router.calibrator or setup.settings.calibrator
    training = setup.training(predictor, calibrator)
    decided = decided_in_training([point.router for point in entry.points], training, Cache(None))
    for point, played, confidence, quality in zip(entry.points, play(entry, setup.world), *decided, strict=True):
        rows = table[(table["policy"] == "static") & (table["setting"] == point.label) & (table["part"] == "unseen")]
        for row in rows.itertuples():
            assert row.threshold == accept_threshold(confidence, quality, row.alpha)
            accepted = played.p_hat >= row.threshold
            assert row.coverage == pytest.approx(accepted.mean())
            assert row.risk == pytest.approx(((1 - played.quality) * accepted).mean())


def test_thresholds_know_nothing_of_the_test_part(setup: Setup) -> None:
    before = table_of(setup)
    table, test = setup.estimator.table, setup.estimator.test
    quality = table.quality.copy()
    quality[test] = 1.0 - quality[test]
    other = set_up(setup.settings, replace(table, quality=quality), Cache(None))[1]
    after = table_of(other)
    np.testing.assert_array_equal(before["threshold"], after["threshold"])
    assert not np.array_equal(before["risk"], after["risk"])


def test_a_learner_that_is_asked_in_training_is_left_as_it_was(setup: Setup) -> None:
    entry = enter("dacr", setup)
    router = entry.points[0].router
    before = set(vars(router))
    decided_in_training([router], setup.training("logistic", "base_slope"), Cache(None))
    assert set(vars(router)) == before


def test_what_is_kept_is_of_these_routers_and_these_rows(setup: Setup, tmp_path: Path) -> None:
    cache, training = Cache(tmp_path), setup.training("logistic", "base_slope")
    cheap, dear = (point.router for point in enter("dacr", setup).points)
    requests, outcomes = (part.take(np.arange(1, len(training))) for part in (training.requests, training.outcomes))
    fewer = replace(training, requests=requests, outcomes=outcomes)
    first = decided_in_training([cheap], training, cache)
    for asked, rows in (([cheap], training), ([dear], training), ([cheap], fewer)):
        kept, anew = (decided_in_training(asked, rows, one) for one in (cache, Cache(None)))
        for a, b in zip(kept, anew, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(list(tmp_path.iterdir())) == 3
    assert not np.array_equal(first[1], decided_in_training([dear], training, cache)[1])
