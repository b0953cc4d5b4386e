"""A model that joins late knows no training: not its outcomes, not its answers, in no part that is fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dacr.core import cli
from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import RoutingTable, load
from dacr.experiment import run
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.play import enter, play
from dacr.replay.protocols.cold_start import cues_without, without_outcomes
from dacr.replay.setup import set_up

NEW = "gpt-4-1106-preview"


def tiny() -> RoutingTable:
    names = np.array(["q0", "q1", "q2"], dtype=object)
    return RoutingTable(
        qid=names,
        prompt=names,
        domain=names,
        model=("a", "b", "new"),
        quality=np.array([[0.0, 1.0, 0.9], [0.5, 0.5, 0.1], [0.2, 0.4, 0.8]]),
        cost_usd=np.array([[1.0, 2.0, 30.0], [3.0, 6.0, 10.0], [1.0, 1.0, 7.0]]),
        latency_s=np.array([[1.0, 3.0, 9.0], [2.0, 2.0, 9.0], [5.0, 5.0, 7.0]]),
        response=None,
    )


def test_what_stands_in_place_of_a_cold_model_by_hand() -> None:
    """Mean costs in training are 2, 4 and 20: row 0 is half as dear as the mean for both others, row 1 1.5 times."""
    made = without_outcomes(tiny(), np.array([0, 1]), np.array([False, False, True]))
    np.testing.assert_allclose(made.quality[:, 2], [0.5, 0.5, 0.8])
    np.testing.assert_allclose(made.cost_usd[:, 2], [10.0, 30.0, 7.0])
    np.testing.assert_allclose(made.latency_s[:, 2], [2.0, 2.0, 7.0])
    for name in ("quality", "cost_usd", "latency_s"):
        np.testing.assert_array_equal(getattr(made, name)[:, :2], getattr(tiny(), name)[:, :2])
    cues = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    known = cues_without(cues, np.array([False, False, True]))
    assert known is not None and known[:, 2].tolist() == [[1.0, 2.0], [7.0, 8.0]]
    assert cues_without(None, np.array([True])) is None


def test_at_least_one_model_must_be_known() -> None:
    with pytest.raises(UserError, match="every model is cold"):
        without_outcomes(tiny(), np.array([0]), np.ones(3, dtype=bool))


@pytest.fixture(scope="module")
def table(sample_long: Path) -> RoutingTable:
    return load(sample_long)


def settings_of(data: Path, protocol: str, names: tuple[str, ...]) -> ExperimentSettings:
    return ExperimentSettings(
        data=data,
        ood_holdout=StrList(("mmlu",)),
        lambdas=FloatList((0.0, 50.0)),
        seeds=IntList((1,)),
        orders=1,
        routers=StrList(names),
        protocol=protocol,
        n_jobs=1,
    )


def altered(table: RoutingTable, train: np.ndarray, column: int) -> RoutingTable:
    """Return the table with another quality and another answer of one model on every training row.

    Costs stay: their mean stands for the price list, which is known.
    """
    quality = table.quality.copy()
    quality[train, column] = 1.0 - quality[train, column]
    response = np.array(table.response.to_pylist(), dtype=object).reshape(table.n_query, table.n_model)
    response[train, column] = "I cannot help with that."
    return replace(table, quality=quality, response=pa.array(response.ravel().tolist()))


def test_no_router_knows_anything_of_a_cold_model_from_training(sample_long: Path, table: RoutingTable) -> None:
    names = tuple(name for name in routers.names() if not routers.get(name).clairvoyant)
    assert len(names) > 15
    cold = settings_of(sample_long, f"late_joiner:model={NEW}", names)
    bed, _ = set_up(cold, table, Cache(None))
    other = altered(table, bed.train, table.model.index(NEW))
    one, two = (set_up(cold, each, Cache(None))[1] for each in (table, other))
    known = settings_of(sample_long, "", ("strongest",))
    plain = [play(enter("strongest", setup), setup.world)[0].model
             for setup in (set_up(known, each, Cache(None))[1] for each in (table, other))]  # fmt: skip
    assert (plain[0] != plain[1]).all(), "the change must matter where the model is known"
    for name in names:
        pairs = zip(play(enter(name, one), one.world), play(enter(name, two), two.world), strict=True)
        for before, after in pairs:
            assert (before.model == after.model).all(), name
            np.testing.assert_array_equal(before.p_hat, after.p_hat, err_msg=name)


def played(data: Path, folder: Path, *flags: object) -> pd.DataFrame:
    """Run an experiment and return its decisions."""
    words = ["--data", data, "--results_dir", folder, "--dacr_lambda_lat", "0", "--lambda_lat", "0", "--lambdas", "0"]
    words += ["--seeds", "1", "--dacr_p_miss", "0", *flags]
    assert cli.run(run.run_experiment, [str(word) for word in words], settings_class=ExperimentSettings) == 0
    return pd.read_parquet(folder / "decisions.parquet")


def test_a_late_joiner_is_called_from_its_moment_on(sample_long: Path, tmp_path: Path) -> None:
    names = "random,zero,cheapest,dacr,linucb,port,domain_oracle"
    protocol = f"late_joiner:model={NEW},at=0.3"
    flags = ("--ood_holdout", "hellaswag", "--routers", names, "--orders", "2", "--protocol", protocol)
    decisions = played(sample_long, tmp_path, *flags)
    n = decisions["t"].max() + 1
    early = decisions["t"] < np.ceil(0.3 * n)
    new = decisions["model"] == NEW
    assert set(decisions["policy"]) == set(names.split(","))
    assert not new[early].any()
    for name in ("random", "domain_oracle"):
        own = decisions["policy"] == name
        assert new[own & ~early].any(), name
    assert abs(new[(decisions["policy"] == "random") & ~early].mean() - 1 / 11) < 0.07


@pytest.mark.slow
def test_dacr_finds_a_good_model_that_nobody_knew(tmp_path: Path) -> None:
    prepare_routerbench(sample=3000, out=str(tmp_path / "long.parquet"))
    flags = ("--ood_holdout", "grade-school-math", "--routers", "dacr", "--orders", "4", "--dacr_delay", "0")
    decisions = played(
        tmp_path / "long.parquet", tmp_path / "r", *flags, "--protocol", f"late_joiner:model={NEW},at=0.2"
    )
    share = (decisions["model"] == NEW).groupby(decisions["t"] * 5 // (decisions["t"].max() + 1)).mean()
    assert share[0] == 0
    assert share[4] > 1.5 / 11, "more than chance: it was tried, and found good"
