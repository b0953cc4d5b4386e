"""What ratings of plans do to beliefs of single models, held against the truth of the embedded benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.sample import facts
from dacr.data.sample.generate import generate
from dacr.data.sample.truth import truth
from dacr.data.table import load
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.play import enter, play
from dacr.replay.setup import set_up

MOST = 0.03
"""Ratings of plans may move what is believed of models on average by so much more than ratings of models do."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("marginals") / "long.parquet"
    generate(3000).long.to_parquet(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("held_out", ["hellaswag", "arc-challenge"])
def test_ratings_of_plans_leave_marginals_of_models_unbiased(data: Path, held_out: str) -> None:
    right = truth().mean_quality[list(facts.DOMAINS).index(held_out)]
    off = {}
    for plans in ("none", "auto"):
        settings = ExperimentSettings(
            ood_holdout=StrList((held_out,)),
            plans=plans,
            lambdas=FloatList((20.0,)),
            lambda_lat=0.0,
            dacr_lambda_lat=0.0,
            orders=4,
            seeds=IntList((1,)),
            n_jobs=1,
        )
        _, setup = set_up(settings, load(data), Cache(None))
        [played] = play(enter("dacr", setup), replace(setup.world, record_beliefs=True))
        assert played.p_after is not None
        n_model = setup.estimator.table.n_model
        if plans == "auto":
            assert (played.model >= n_model).mean() > 0.5, "few ratings were of plans"
        off[plans] = played.p_after[:, :, :n_model].mean(axis=(0, 1)) - right
    assert abs(off["auto"].mean()) < abs(off["none"].mean()) + MOST
    assert np.abs(off["auto"]).mean() < np.abs(off["none"]).mean() + MOST
