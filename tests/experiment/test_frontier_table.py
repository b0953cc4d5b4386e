"""The table of frontiers: every measure by hand, and areas whose intervals are those of the experiment's own runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.table import load
from dacr.experiment.frontier_table import FrontierTable, measures
from dacr.experiment.settings import ExperimentSettings
from dacr.metrics.frontier import lambda_frontier_area
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup, set_up

NAMES = ("cheapest", "predict_optimize", "dacr")


def points(*rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["mean_cost", "mean_quality", "slo_violation_rate"])


def test_every_measure_by_hand() -> None:
    # One setting (2, .7) between the weak model (1, .4) and the strong one (3, .8); the oracle reaches .9.
    singles = points((1.0, 0.4, 0.0), (3.0, 0.8, 0.5))
    got = measures(points((2.0, 0.7, 0.1)), singles, price=1.0, oracle=0.9)
    assert math.isnan(got.pop("cost_save")), "no setting is as good as the best model"
    assert got == pytest.approx(
        {
            "area": (0.55 + 0.7) / 2,  # up the chord from (1, .4), then flat
            "net_area": (0.5 + 0.6) / 2,  # (1, .4) to (2, .7 - .1), then flat
            "aiq": (0.525 + 0.7) / 2,  # from the null router's chord: .35 at 1
            "apgr": ((0.55 + 0.75) / 2 - 0.4) / 0.4,
            "cpt_50": (2 / 3) / 2,  # .6 is had at 1 + 2/3
            "cpt_80": (2.2 - 1) / 2,  # .72 at 2.2, between the setting and the strong model
            "perf_gain": 0.7 / 0.8 - 1,
            "oracle_share": -1.0,
        }
    )
    better = measures(points((1.5, 0.85, 0.0)), singles, price=0.0, oracle=0.9)
    assert better["cost_save"] == pytest.approx(0.5) and better["oracle_share"] == pytest.approx(0.5)
    assert better["cpt_80"] == pytest.approx((1 + 0.5 * 0.32 / 0.45 - 1) / 2)
    alone = measures(points((1.0, 0.4, 0.0)), singles.iloc[:1], price=0.0, oracle=0.4)
    assert alone["area"] == 0.4 and math.isnan(alone["apgr"]) and math.isnan(alone["oracle_share"])


@pytest.fixture(scope="module")
def setup(sample_long: Path) -> Setup:
    settings = ExperimentSettings(
        data=sample_long,
        ood_holdout=StrList(["grade-school-math"]),
        lambdas=FloatList([5.0, 500.0]),
        seeds=IntList([1, 2]),
        orders=4,
        budget_grid=1,
    )
    return set_up(settings, load(sample_long), Cache(None))[1]


def summed(setup: Setup, names: tuple[str, ...] = NAMES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of an experiment, and the metrics of its runs."""
    truth, tau_s = setup.truth, setup.settings.tau_seconds
    table = FrontierTable(truth, 0.5, tau_s)
    rows = []
    for name in names:
        entry = enter(name, setup)
        played = play(entry, setup.world)
        table.add(entry, played, setup.world)
        for point, one in zip(entry.points, played, strict=True):
            for seed, quality, cost, latency in zip(
                setup.world.runs_of(point).seed, one.quality, one.cost_usd, one.latency_s, strict=True
            ):
                row = {"policy": name, "setting": point.label, "seed": seed, "mean_quality": quality.mean()}
                row |= {"mean_cost": cost.mean(), "slo_violation_rate": (latency > tau_s).mean()}
                rows.append(row | {"enforced": point.enforced})
    by_seed = pd.DataFrame(rows)
    metrics = by_seed.groupby(["policy", "setting"], sort=False, as_index=False).mean(numeric_only=True)
    singles = points(
        *zip(truth.cost_usd.mean(axis=0), truth.quality.mean(axis=0), truth.late.mean(axis=0), strict=True)
    )
    return table.frame(by_seed, metrics.drop(columns="seed"), singles), by_seed


def test_areas_have_intervals_and_paired_differences(setup: Setup) -> None:
    made, by_seed = summed(setup)
    mean = made[made["seed"] == "mean"].set_index("policy")
    assert mean["n_setting"].to_dict() == {"cheapest": 1, "predict_optimize": 2, "dacr": 2}, "budgets are no frontier"
    assert (made["seed"] != "mean").sum() == 2 + 2 + 4
    free = by_seed[~by_seed["enforced"] & (by_seed["policy"] == "predict_optimize")]
    own = free.groupby("setting")[["mean_cost", "mean_quality"]].mean()
    single = setup.truth.cost_usd.mean(axis=0), setup.truth.quality.mean(axis=0)
    area = lambda_frontier_area(own["mean_cost"], own["mean_quality"], *single)
    assert mean.loc["predict_optimize", "area"] == pytest.approx(area)
    for name in ("area", "net_area"):
        assert (mean[f"{name}_low"] < mean[name]).all() and (mean[name] < mean[f"{name}_high"]).all()
        difference = mean[name] - mean.loc["dacr", name]
        others = ["cheapest", "predict_optimize"]
        assert mean.loc[others, f"{name}_difference"].tolist() == pytest.approx(difference[others].tolist())
        assert math.isnan(mean.loc["dacr", f"{name}_difference"])
    assert set(mean["reference"]) == {"dacr"}
    assert made.loc[made["seed"] != "mean", "area_low"].isna().all()


def test_without_dacr_the_first_router_is_the_reference(setup: Setup) -> None:
    made, _ = summed(setup, ("predict_optimize", "cheapest"))
    assert set(made["reference"].dropna()) == {"predict_optimize"}


def test_an_experiment_writes_it(sample_long: Path, tmp_path: Path, stage: Callable) -> None:
    flags = ("--routers", "cheapest", "predict_optimize", "--lambdas", "5,500", "--seeds", "1,2", "--budget_grid", "2")
    done = stage("run_experiment.py", "--data", sample_long, "--results_dir", tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    made = pd.read_csv(tmp_path / "frontier.csv")
    assert made["policy"].tolist() == ["cheapest"] * 3 + ["predict_optimize"] * 3
    assert made["seed"].tolist() == ["mean", "1", "2"] * 2
    said = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["predict_optimize"])
    assert f"{made.loc[3, 'area']:.4f}" in said and f"{made.loc[3, 'net_area']:.4f}" in said
