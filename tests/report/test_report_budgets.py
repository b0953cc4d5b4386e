"""Equal money where budgets were enforced, and lateness where it is priced: on a small real experiment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.contracts.results import small_results
from dacr.report import tables
from dacr.report.comparison import compare
from dacr.report.equal_money import fixed_costs, main_cost, operating_points, rule, worth
from dacr.report.folder import Results
from dacr.report.words import answer


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.open(small_results())


def without(results: Results, folder: Path, **config: object) -> Results:
    """A copy whose manifest says otherwise."""
    shutil.copytree(results.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["config"] |= config
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return Results.open(folder)


def test_all_routers_stand_at_the_budget_that_was_enforced(results: Results) -> None:
    metrics = results.table("metrics.csv")
    held = metrics[metrics["enforced"]]
    costs = fixed_costs(results)
    assert costs.tolist() == sorted(held["budget_cost"].unique()) and len(costs) == 2
    assert main_cost(results) == costs[0]  # of two the first
    for cost in costs:
        points = operating_points(results, cost).set_index("policy")
        own = held[held["budget_cost"] == cost].set_index("policy")
        assert set(own.index) >= {"dacr", "predict_optimize", "zero"}
        for router in own.index:
            assert points.loc[router, "setting"] == own.loc[router, "setting"]
            assert points.loc[router, "mean_cost"] == own.loc[router, "mean_cost"]
            assert points.loc[router, "weight"] == 0
    assert "Equal money is an enforced budget" in rule(results)
    along = operating_points(results, budgets=False)
    assert not along["enforced"].any()


def test_what_is_compared_is_net_of_late_answers(results: Results, tmp_path: Path) -> None:
    assert results.price_late == 1.0 and worth(results) == "quality less 1 x share of late answers"
    made = compare(results)
    points = made.points.set_index("policy")
    net = points["mean_quality"] - points["slo_violation_rate"]
    np.testing.assert_allclose(points["net"], net, atol=1e-9)
    for row in made.everywhere[made.everywhere["cost"] == made.cost].itertuples():
        assert row.difference == pytest.approx(net[row.name] - net["dacr"], abs=1e-9)
    main = tables.main_results(results)
    assert "Net" in main.text and main.bold is not None
    assert main.bold[:, main.text.columns.get_loc("Net")].sum() == 1
    assert main.bold[:, main.text.columns.get_loc("Quality [95 %]")].sum() == 0
    assert "Quality less 1 x share of late answers" in tables.TABLES["equal_money"](results).title
    assert "compared by quality less 1 x share of late answers" in " ".join(answer(results))
    free = without(results, tmp_path / "free", lambda_lat=0.0)
    assert worth(free) == "quality" and "Net" not in tables.main_results(free).text
    by = {row.name: row.difference for row in compare(free).differences.itertuples()}
    for router, difference in by.items():
        assert difference == pytest.approx(points["mean_quality"][router] - points["mean_quality"]["dacr"], abs=1e-9)


def test_without_budgets_costs_are_those_of_single_models(results: Results, tmp_path: Path) -> None:
    bare = without(results, tmp_path / "bare")
    metrics = pd.read_csv(bare.folder / "metrics.csv")
    metrics[~metrics["enforced"]].to_csv(bare.folder / "metrics.csv", index=False)
    bare = Results.open(bare.folder)
    assert len(fixed_costs(bare)) == 4 and "No budget was enforced" in rule(bare)
    assert not operating_points(bare)["enforced"].any()
