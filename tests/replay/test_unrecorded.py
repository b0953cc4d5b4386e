"""Outcomes that were never recorded: masked in estimates and training, closed in the arena, said in the tables."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.contracts.problem import incomplete as incomplete_truth
from dacr.contracts.problem import standard
from dacr.core.cli import FloatList, StrList
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.data.prepare import prepare_routerbench
from dacr.data.schema import incomplete
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.estimates.estimator import Estimator
from dacr.experiment.run import run_experiment
from dacr.experiment.scoring.export import export_decisions
from dacr.experiment.scoring.score import score_decisions
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.unrecorded import as_expected, least_cost, with_means
from dacr.report.folder import Results
from dacr.report.html import write
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Estimates, Outcomes

ROUTERS = ["dacr", "dacr_full", "static", "cascade", "zero", "joint_ranker", "oracle", "domain_oracle"]


@pytest.fixture(scope="module")
def holed(sample_long: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with four models, of which one in four outcomes was never recorded; the models' rows whole in some."""
    long = pd.read_parquet(sample_long)
    long = long[long["model"].isin(sorted(long["model"].unique())[:4])]
    lost = generator("holes").random(len(long)) < 0.25
    folder = tmp_path_factory.mktemp("holed")
    long[~lost].to_parquet(folder / "few.parquet")
    prepare_routerbench(pkl=str(folder / "few.parquet"), missing_outcomes="available", out=str(folder / "long.parquet"))
    return folder / "long.parquet"


def test_a_table_says_what_it_lacks_and_only_who_heeds_it_may_read_it(
    holed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"4 models missing in \d+\.\d % of queries .*--missing_outcomes drop"):
        load(holed)
    table = load(holed, incomplete=True)
    assert table.recorded is not None and table.recorded.any(axis=1).all()
    np.testing.assert_array_equal(table.recorded, np.isfinite(table.quality))
    few = pd.read_parquet(holed.parent / "few.parquet")
    assert table.recorded.sum() == len(few) and np.nansum(table.cost_usd) == pytest.approx(few["cost"].sum())
    prepare_routerbench(
        pkl=str(holed.parent / "few.parquet"), missing_outcomes="available", out=str(tmp_path / "long.store")
    )
    said = capsys.readouterr().out
    assert incomplete(table.recorded) in said
    mean = few.groupby("model", observed=True)["quality"].mean()
    assert all(re.search(rf"{re.escape(name)} +{value:.4f}", said) for name, value in mean.items())
    store = load(tmp_path / "long.store", incomplete=True)
    for name in ("quality", "cost_usd", "recorded"):
        np.testing.assert_array_equal(getattr(store, name), getattr(table, name))


def test_without_the_flag_it_is_refused_and_the_flag_is_named(holed: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"outcomes are missing.*to keep what there is --missing_outcomes available"):
        prepare_routerbench(pkl=str(holed.parent / "few.parquet"), out=str(tmp_path / "t.parquet"))
    with pytest.raises(UserError, match=r"lack some of the 4 models.*--missing_outcomes drop.*or available"):
        load(holed.parent / "few.parquet", incomplete=True)


def poisoned(table: RoutingTable, value: float) -> RoutingTable:
    """Return the table with a value in all places where nothing was recorded."""
    assert table.recorded is not None
    put = {name: np.where(table.recorded, getattr(table, name), value) for name in ("quality", "cost_usd")}
    latency = np.where(table.recorded, np.nan_to_num(table.latency_s, nan=1.0), value)
    return replace(table, **put, latency_s=latency)


@pytest.mark.parametrize("predictor", ["logistic", "knn", "joint", "base_rate"])
def test_estimates_are_made_of_recorded_outcomes_alone(holed: Path, predictor: str) -> None:
    table = load(holed, incomplete=True)
    split = split_queries(list(table.qid), list(table.domain), ["mmlu"])
    made: list[Estimates] = []
    for value in (0.25, 1e3):
        one = Estimator(poisoned(table, value), split.train, split.test, np.zeros(len(split.test)), 5.0, n_jobs=1)
        made += [one.training(predictor, "base_slope"), one.testing(predictor, "base_slope")]
    for one, other in (made[::2], made[1::2]):
        for field in fields(Estimates):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)
        assert np.isfinite(one.p).all() and np.isfinite(one.cost_hat).all()


def test_means_stand_in_for_sums_and_expectations_for_training() -> None:
    problem = standard()
    truth = incomplete_truth(problem.train.outcomes, 0.4, 1e6)
    known = truth.recorded
    assert known is not None
    names = tuple(f"m{m}" for m in range(known.shape[1]))
    every, none = np.arange(len(known)), np.full(len(known), "", dtype=object)
    table = RoutingTable(every.astype(object), none, none, names, truth.quality, truth.cost_usd, truth.latency_s, None)
    filled = with_means(replace(table, recorded=known), every[:50], every[50:])
    for rows in (slice(0, 50), slice(50, None)):
        own = [truth.quality[rows][known[rows][:, m], m].mean() for m in range(len(names))]
        np.testing.assert_allclose(filled.quality[rows].mean(axis=0), own)
    assert with_means(table, every) is table
    seen = as_expected(replace(problem.train, outcomes=truth)).outcomes
    np.testing.assert_array_equal(seen.quality[~known], problem.train.requests.p[~known])
    np.testing.assert_array_equal(seen.cost_usd[~known], problem.train.requests.cost_hat[~known])
    np.testing.assert_array_equal(seen.late[~known], problem.train.requests.p_late[~known])
    np.testing.assert_array_equal(seen.quality[known], truth.quality[known])
    DacrRouter().fit(replace(problem.train, outcomes=seen))
    known[50:, 1] = False
    known[50:59, 1] = True
    with pytest.raises(UserError, match="'m1' was recorded for 9 of 100 training queries, at least 10 are needed"):
        with_means(replace(table, recorded=known), every[:50], every[50:])


def test_the_least_that_requests_can_cost_by_hand() -> None:
    """The first model costs 1, the second 10 and 20; the first is missing in the second request: (1 + 20) / 2."""
    cost = np.array([[1.0, 10.0], [1.0, 20.0]])  # the mean of what was recorded stands in
    had = Outcomes(cost, cost, cost, cost > 1, recorded=np.array([[True, True], [False, True]]))
    assert least_cost(had) == 10.5 and least_cost(replace(had, recorded=None)) == 1.0


@pytest.fixture(scope="module")
def results(holed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment on the table with holes: learners, twins, references, a cascade, budgets, plans."""
    folder = tmp_path_factory.mktemp("results")
    settings = ExperimentSettings(
        data=holed, results_dir=folder, routers=StrList(ROUTERS), lambdas=FloatList([0.0, 100.0]), budget_grid=2,
        orders=2, lambda_lat=0.0, plans="auto", calibrators=StrList(["identity", "base_slope"]), no_cache=True,
    )  # fmt: skip
    run_experiment(settings)
    return folder


def test_no_router_calls_what_was_not_recorded(results: Path, holed: Path, sample_long: Path) -> None:
    table, whole = load(holed, incomplete=True), load(sample_long)
    assert table.recorded is not None
    decisions = pd.read_parquet(results / "decisions.parquet")
    single = decisions[decisions["model"].isin(table.model) & (decisions["attempts"] == 1)]
    assert set(single["policy"]) == set(ROUTERS) and decisions["model"].notna().all()
    row = pd.Index(table.qid).get_indexer(single["qid"])
    model = pd.Index(table.model).get_indexer(single["model"])
    assert table.recorded[row, model].all()
    own = pd.Index(whole.model).get_indexer(single["model"])
    np.testing.assert_array_equal(single["quality"], whole.quality[pd.Index(whole.qid).get_indexer(single["qid"]), own])


def test_references_and_tables_are_of_what_was_recorded(results: Path, holed: Path) -> None:
    table = load(holed, incomplete=True)
    tested = pd.read_parquet(results / "decisions.parquet")["qid"].unique()
    quality = table.quality[pd.Index(table.qid).get_indexer(tested)]
    singles = pd.read_csv(results / "singles.csv").set_index("model").loc[list(table.model)]
    assert singles["n"].tolist() == np.isfinite(quality).sum(axis=0).tolist()
    np.testing.assert_allclose(singles["mean_quality"], np.nanmean(quality, axis=0))
    metrics = pd.read_csv(results / "metrics.csv", keep_default_na=False)
    oracle = metrics[(metrics["policy"] == "oracle") & (metrics["setting"] == "lambda_cost=0")]
    assert float(oracle["mean_quality"].iloc[0]) == pytest.approx(np.nanmax(quality, axis=1).mean())
    ece = pd.read_csv(results / "calibration_ece.csv")
    offline = ece[(ece["domain"] == "all") & (ece["stage"] == "offline") & (ece["calibrator"] == "base_slope")]
    assert offline.set_index("model").loc[list(table.model), "n"].tolist() == singles["n"].tolist()
    regret = pd.read_csv(results / "regret.csv")
    last = regret[(regret["reference"] == "oracle") & (regret["policy"] == "dacr")]
    assert (last.groupby("setting")["regret_mean"].last() >= 0).all() and np.isfinite(regret["regret_mean"]).all()


def test_every_table_and_the_report_say_it(results: Path) -> None:
    write(Results.open(results))
    text = (results / "report.html").read_text(encoding="utf-8")
    said = re.search(r"4 models missing in \d+\.\d % of queries", text)
    assert "Costs: as recorded." in text
    assert said is not None and "A model can" in text and said.group() in (results / "manifest.json").read_text()


def test_decisions_on_such_a_table_are_scored_and_others_left_out(
    results: Path, holed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_decisions(results_dir=results, out=tmp_path / "static.csv", router="static", setting="lambda_cost=0")
    made = pd.read_csv(tmp_path / "static.csv")
    made = made[~made["model"].str.contains("(", regex=False)]
    made.to_csv(tmp_path / "static.csv", index=False)
    score_decisions(data=holed, decisions=StrList([str(tmp_path / "static.csv")]), results_dir=tmp_path / "own")
    own = pd.read_csv(tmp_path / "own" / "metrics.csv", keep_default_na=False).set_index("policy")
    assert own.loc["static", "mean_quality"] == pytest.approx(made["quality"].mean())
    table = load(holed, incomplete=True)
    pd.DataFrame({"qid": table.qid, "model": table.model[0]}).to_csv(tmp_path / "one.csv", index=False)
    score_decisions(data=holed, decisions=StrList([str(tmp_path / "one.csv")]), results_dir=tmp_path / "one")
    n = int(np.isnan(table.quality[:, 0]).sum())
    assert f"decisions for a model not recorded there are not scored ({n})" in capsys.readouterr().out
