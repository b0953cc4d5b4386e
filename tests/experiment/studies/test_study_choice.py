"""Hyperparameters are chosen on training domains, and nothing of the outer hold-out is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dacr.core.cli import StrList
from dacr.core.registry import routers
from dacr.data.table import load
from dacr.experiment.run import conduct
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.choice import better_than_first, chosen_settings, in_words, inner_cells, options

OUTER = "grade-school-math"


def settings(path: Path) -> ExperimentSettings:
    return ExperimentSettings(data=path, ood_holdout=StrList([OUTER]), lambda_lat=0.0, dacr_lambda_lat=0.0, n_jobs=1)


def test_defaults_come_first_and_every_tunable_argument_exists() -> None:
    tuned = [name for name, cls in routers.items() if cls.tunable]
    assert {"dacr", "linucb"} <= set(tuned)
    for name in tuned:
        every = options(name)
        assert every[0] == {key: getattr(routers.get(name)(), key) for key in every[0]}
        assert len({tuple(sorted(option.items())) for option in every}) == len(every) > 1
        for option in every:
            routers.get(name)(**option)
    assert options("random") == [{}]


def test_the_default_stays_unless_another_is_better_beyond_chance() -> None:
    default = np.array([0.5, 0.6, 0.7])
    assert better_than_first([default, default + [0.010, 0.011, 0.012], default - 0.1]) == 1
    assert better_than_first([default, default + [0.10, -0.05, 0.01]]) == 0
    assert better_than_first([np.array([0.5]), np.array([0.9])]) == 0


def test_nothing_of_the_outer_hold_out_is_read(
    sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routers.get("linucb"), "tunable", {"alpha": (0.01, 0.3)})
    table = load(sample_long)
    changed = replace(table, quality=table.quality.copy(), cost_usd=table.cost_usd.copy())
    outer = table.family == OUTER
    changed.quality[outer] = 1.0 - changed.quality[outer]
    changed.cost_usd[outer] *= 9.0
    own = replace(settings(sample_long), routers=StrList(["linucb"]))
    cells = inner_cells(own, table, table.family, [OUTER], 30)
    assert cells
    made = []
    for name, one in (("as it is", table), ("changed", changed)):
        folders = [tmp_path / name / str(k) for k in range(len(cells))]
        for folder, (inner, manner) in zip(folders, cells.values(), strict=True):
            conduct(replace(inner, results_dir=folder, n_jobs=1), manner, table=one)
        made.append([(folder / "metrics.csv").read_bytes() for folder in folders])
        assert chosen_settings(["linucb", "random"], folders)["linucb"] in options("linucb")
        assert chosen_settings(["linucb", "random"], folders)["random"] == {}
    assert made[0] == made[1]


def test_one_family_is_too_few_to_choose_on(sample_long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routers.get("linucb"), "tunable", {"alpha": (0.01, 0.3)})
    table = load(sample_long)
    own = replace(settings(sample_long), routers=StrList(["linucb"]))
    two = table.take(np.flatnonzero((table.family == OUTER) | (table.family == "mbpp")))
    assert inner_cells(own, two, two.family, [OUTER], 1) == {}
    assert chosen_settings(["linucb"], [])["linucb"] == options("linucb")[0]


def test_in_words() -> None:
    assert in_words({"explore": 1.0, "temper": 0.25}) == "explore 1, temper 0.25"
