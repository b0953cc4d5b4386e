"""Budgets as they are asked for on the command line: lists, grids, shares of late answers, horizons."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.registry import figures
from dacr.data.prepare import prepare_routerbench
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.summary import summary_table
from dacr.report.folder import Absent, Results

HELD = ("--ood_holdout", "grade-school-math", "--lambdas", "0", "--seeds", "1", "--orders", "2", "--n_jobs", "1")


def run(data: Path, folder: Path, *flags: object) -> dict[str, pd.DataFrame]:
    """Run an experiment; return its tables and decisions."""
    words = [str(word) for word in ("--data", data, "--results_dir", folder, *HELD, *flags)]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 0
    tables = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    return tables | {"decisions": pd.read_parquet(folder / "decisions.parquet")}


def test_every_budget_of_a_list_is_a_run_of_every_router(sample_long: Path, tmp_path: Path) -> None:
    routers = ["cheapest", "static", "dacr", "port", "zero"]
    made = run(sample_long, tmp_path, "--routers", ",".join(routers), "--budget_cost", "2e-4,1e-3")
    budgets = made["budgets"]
    expected = set(itertools.product(routers, [2e-4, 1e-3]))
    assert set(zip(budgets["policy"], budgets["budget_cost"], strict=True)) == expected
    assert (budgets.groupby(["policy", "budget_cost"]).size() == 2).all()  # one for each order, whoever plays
    decisions = made["decisions"]
    metrics = made["metrics"]
    assert set(metrics["enforced"] == metrics["setting"].fillna("").str.startswith("budget_")) == {True}
    learns = metrics["policy"].isin(["dacr", "port"])
    assert (metrics["learns"] == learns).all() and (metrics["order_matters"] == (learns | metrics["enforced"])).all()
    assert (metrics["n_seed"] == np.where(metrics["order_matters"], 2, 1)).all()
    orders = decisions[decisions["setting"].astype(str) == "budget_cost=0.001"].set_index(["policy", "seed", "t"])[
        "qid"
    ]
    for policy in routers:
        pd.testing.assert_series_equal(orders.loc[policy], orders.loc["dacr"], check_categorical=False)
    own = decisions[decisions["setting"].astype(str) == "budget_cost=0.001"].groupby(["policy", "seed"], observed=True)
    rows = budgets[budgets["budget_cost"] == 1e-3].set_index(["policy", "seed"])
    np.testing.assert_allclose(own["cost"].mean().loc[rows.index], rows["mean_cost"], rtol=1e-8)
    np.testing.assert_allclose(rows["used"], rows["mean_cost"] / 1e-3)
    # One price for the frontier's point at lambda 0, which no budget binds.
    free = decisions[decisions["setting"].astype(str) == ""].groupby("policy", observed=True)["cost"].mean()
    assert free["static"] > rows.loc["static", "mean_cost"].mean()
    duals = made["duals"]
    assert set(duals["budget_cost"]) == {2e-4, 1e-3} and (duals["price_cost"] >= 0).all()
    assert (duals[duals["policy"] == "zero"]["price_cost"] == 0).all()
    tight = duals.groupby(["policy", "budget_cost"])["price_cost"].mean().unstack()
    assert tight.loc["static", 2e-4] > tight.loc["static", 1e-3]


def test_a_frontier_that_keeps_a_budget_stays_a_frontier(
    sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flags of README's experiment: the dacr family keeps a budget, its rivals are free."""
    flags = "--lambdas 1,20 --lambda_lat 1.0 --dacr_lambda_lat 1.0 --dacr_budget_cost 0.0055 --dacr_budget_viol 0.10"
    family = ["dacr", "dacr_full", "dacr_eq9"]
    names = [*family, "linucb", "paced_bandit", "port", "static"]
    made = run(sample_long, tmp_path, *flags.split(), "--routers", ",".join(names), "--orders", "2")
    said = capsys.readouterr().out
    rows = {line.split()[0] for line in said.splitlines() if line.strip()}
    assert {"dacr+", "dacr_full*+", "dacr_eq9+", "linucb", "paced_bandit", "port", "static"} <= rows
    assert "--dacr_budget_cost 0.0055, --dacr_budget_viol 0.1" in said
    metrics = made["metrics"]
    assert not metrics["enforced"].any() and set(metrics.loc[metrics["budgeted"], "policy"]) == set(family)
    held = metrics[metrics["budgeted"]]
    assert (held["budget_cost"] == 0.0055).all() and (held["budget_late"] == 0.1).all()
    assert metrics.loc[~metrics["budgeted"], ["budget_cost", "budget_late"]].isna().all(axis=None)
    assert set(made["regret"]["policy"]) == {*family, "linucb", "paced_bandit", "port"}
    known = made["calibration_ece"]
    assert {"online", "online_counterfactual"} <= set(known.loc[known["calibrator"] == "dacr", "stage"])
    results = Results.open(tmp_path)
    assert set(results.frontier()["policy"]) == set(names) and results.budgeted == set(family)
    figure = figures.get("quality_cost")()
    assert "§ keeps a budget of its own" in figure.caption(figure.frame(results))
    with pytest.raises(Absent, match="no budget of money was enforced"):
        figures.get("budget_compliance")().frame(results)


def test_a_summary_without_a_frontier_has_no_rows() -> None:
    flags = dict.fromkeys(("enforced", "learns", "clairvoyant", "full_information"), True)
    metrics = pd.DataFrame({"policy": ["a"], **flags, "mean_quality": 0.5, "mean_cost": 1.0, "slo_violation_rate": 0.0})
    areas = ["area", "net_area", "net_area_low", "net_area_high", "net_area_difference", "net_area_verdict"]
    frontier = pd.DataFrame(columns=["policy", "seed", *areas])
    assert summary_table({"metrics": metrics.assign(p95_latency_s=1.0), "frontier": frontier}).empty


def test_shares_of_late_answers_are_combined_with_budgets(sample_long: Path, tmp_path: Path) -> None:
    flags = ("--routers", "static", "--budget_cost", "3e-4,1e-3", "--budget_late", "0.1,0.4", "--tau_seconds", "6")
    budgets = run(sample_long, tmp_path, *flags)["budgets"]
    pairs = list(dict.fromkeys(zip(budgets["budget_cost"], budgets["budget_late"], strict=True)))
    assert pairs == list(itertools.product([3e-4, 1e-3], [0.1, 0.4]))


@pytest.fixture(scope="module")
def long_stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded benchmark with 1,225 queries of grade-school-math: as long as budgets are promised for."""
    path = tmp_path_factory.mktemp("six") / "long.parquet"
    prepare_routerbench(sample=6000, out=str(path))
    return path


@pytest.mark.slow
def test_shares_of_late_answers_hold_on_a_thousand_queries(long_stream: Path, tmp_path: Path) -> None:
    """gpt-4 and claude-v2 are late on most of these calls, as training doesn't know; gpt-3.5 never is."""
    flags = ("--routers", "static,knn,random,dacr,linucb,port", "--lambda_lat", "0", "--dacr_lambda_lat", "0")
    made = run(long_stream, tmp_path, *flags, "--budget_late", "0.02,0.05,0.1,0.2")
    assert (made["singles"]["slo_violation_rate"] == 0).any(), "the target can be met"
    frontier = made["metrics"][made["metrics"]["budget_late"].isna()].set_index("policy")["slo_violation_rate"]
    assert frontier["static"] > 0.5, "without the budget most answers are late"
    budgets = made["budgets"]
    assert len(budgets) == 4 * 6 * 2
    assert (budgets["slo_violation_rate"] <= budgets["budget_late"] + 0.01).all(), budgets
    eager = budgets[budgets["policy"].isin(["static", "knn"])]  # the others find quality in time
    assert (eager["slo_violation_rate"] >= 0.7 * eager["budget_late"]).all(), "what may be late is used"


@pytest.mark.slow
@pytest.mark.parametrize(("share", "over"), [(0.5, 0.01), (1.0, 0.01), (1.5, 0.05)])
def test_a_wrong_horizon_degrades_gracefully(share: float, over: float, long_stream: Path, tmp_path: Path) -> None:
    """Too long by half, a run may end while it is still making up for what it was ahead of an even pace."""
    n = 1225
    flags = ("--routers", "static,dacr,linucb", "--lambda_lat", "0", "--dacr_lambda_lat", "0", "--budget_grid", "4")
    known = run(long_stream, tmp_path / "known", *flags)["budgets"]
    wrong = run(long_stream, tmp_path / "wrong", *flags, "--horizon", int(share * n))["budgets"]
    assert (known["n"] == n).all()
    assert (wrong["used"] <= 1 + over).all(), wrong
    loss = known.groupby("policy")["mean_quality"].mean() - wrong.groupby("policy")["mean_quality"].mean()
    assert (loss < 0.015).all(), loss


@pytest.mark.parametrize("bound", ["catalogue", "training", "0.2"])
def test_no_run_is_over_where_the_most_is_reserved(bound: str, sample_long: Path, tmp_path: Path) -> None:
    flags = ("--routers", "static,dacr,port,zero", "--budget_grid", "3", "--max_call_usd", bound)
    budgets = run(sample_long, tmp_path, *flags)["budgets"]
    assert (budgets["used"] <= 1 + 1e-9).all(), budgets
    assert budgets["shed_rate"].between(0, 1).all()


@pytest.mark.slow
def test_no_run_is_over_on_recorded_heavy_tails(shared_data: Path, tmp_path: Path) -> None:
    """A call of gemini-2.5-pro costs up to ten times its mean, and the dearest a third of the smallest purse."""
    long = tmp_path / "long.parquet"
    prepare_routerbench(input=str(shared_data / "paretobandit_k4_long.parquet"), out=str(long))
    flags = ("--routers", "dacr,linucb,port,static,zero", "--budget_grid", "4", "--ood_holdout", "mmlu,openbookqa")
    made = run(long, tmp_path / "r", *flags, "--max_call_usd", "training")
    assert (made["budgets"]["used"] <= 1 + 1e-9).all(), made["budgets"]


def test_a_grid_reaches_from_above_the_cheapest_to_the_dearest(sample_long: Path, tmp_path: Path) -> None:
    flags = ("--routers", "static", "--budget_grid", "4", "--budget_cost", "0.5", "--orders", "1")
    made = run(sample_long, tmp_path, *flags)
    cost, found = made["singles"]["mean_cost"], made["budgets"]["budget_cost"].to_numpy()
    assert found[0] == 0.5, "budgets of one's own come first"
    np.testing.assert_allclose(found[1:], np.geomspace(1.25 * cost.min(), cost.max(), 4), rtol=1e-3)


@pytest.mark.parametrize("horizon", ["known", "unknown", "60", "400"])
def test_horizons(horizon: str, sample_long: Path, tmp_path: Path) -> None:
    made = run(sample_long, tmp_path, "--routers", "static,dacr", "--budget_cost", "3e-4", "--horizon", horizon)
    used = made["budgets"]["used"]
    n = made["budgets"]["n"].iloc[0]
    # What a run may be ahead of an even pace, and one call more: the stream is short.
    ahead = 0.03 * {"known": n, "unknown": 20, "60": 60, "400": 400}[horizon]
    dearest = made["decisions"]["cost"].max()
    assert (used * 3e-4 * n <= 3e-4 * (n + ahead) + 2 * dearest).all()
    assert (used > 0.6).all()


@pytest.mark.parametrize("horizon", ["0", "-5", "1.5", "1e3", "soon", ""])
def test_a_horizon_that_is_none(
    horizon: str, sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "r"), "--horizon", horizon]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 2
    said = capsys.readouterr().err
    assert "--horizon" in said and "known, unknown or a number" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("budget_cost", "1e-3,0", "above 0"),
        ("budget_late", "0.1,1.5", "at most 1"),
        ("budget_grid", "-1", "at least 0"),
    ],
)
def test_budgets_that_are_none(
    flag: str, value: str, says: str, sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "r"), f"--{flag}", value]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 2
    said = capsys.readouterr().err
    assert f"--{flag}" in said and says in said and said.count("\n") == 1
