from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.metrics.hull import upper_hull
from dacr.metrics.paired import holm
from dacr.report import tables
from dacr.report.comparison import Comparison, compare, latency_quantiles
from dacr.report.equal_money import PLACES, _mixture, fixed_costs, main_cost, operating_points
from dacr.report.folder import Absent, Results
from dacr.report.main_table import frontier_areas
from dacr.report.table import TIE, Table, interval, number, tex, to_html, to_latex, to_markdown

SMALL = Table(
    "small",
    "A title & more",
    pd.DataFrame({"Router": ["a_b", "c|d"], "Quality": [number(0.5), number(-0.25) + TIE]}),
    np.array([[False, True], [False, False]]),
    ["Note: 5 %."],
    [1],
)


def column(table: Table, name: str) -> dict[str, str]:
    """Return a column by the first one's names."""
    return dict(zip(table.text.iloc[:, 0], table.text[name], strict=True))


def bold(table: Table, name: str) -> list[str]:
    """Return the names of the rows that are bold in a column."""
    assert table.bold is not None
    return table.text.iloc[:, 0][table.bold[:, list(table.text.columns).index(name)]].tolist()


def test_markdown_is_a_table_with_the_best_in_bold_and_ties_marked() -> None:
    assert to_markdown(SMALL).splitlines()[2:6] == [
        "| Router |   Quality |",
        "|:-------|----------:|",
        "| a_b    | **0.500** |",
        "| c\\|d   |  −0.250 ≈ |",
    ]


def test_latex_escapes_and_is_balanced() -> None:
    text = to_latex(SMALL)
    assert "a\\_b & \\bfseries 0.500 \\\\" in text
    assert "\\midrule\nc|d & $-$0.250 $\\approx$ \\\\" in text
    assert "\\caption{A title \\& more. Note: 5 \\%.}" in text
    assert text.count("\\midrule") == 2
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    assert text.isascii()


def test_html_escapes() -> None:
    text = to_html(Table("t", "<b>", pd.DataFrame([["<i>", "1"]], columns=["<u>", "<s>"])))
    assert all(f"<{tag}>" not in text for tag in "bius")


def test_rows_and_columns_may_have_one_name_and_line_breaks() -> None:
    table = Table("t", "T", pd.DataFrame([["a\nb", "1", "2"], ["a\nb", "3", "4"]], columns=["", "x", "x"]))
    assert to_markdown(table).splitlines()[2:] == [
        "|     |   x |   x |", "|:----|----:|----:|", "| a b |   1 |   2 |", "| a b |   3 |   4 |",
    ]  # fmt: skip
    assert "a b & 3 & 4 \\\\" in to_latex(table).splitlines()
    assert to_html(table).count("<tr>") == 3


def test_braces_in_names_stay() -> None:
    """The Styler takes names for format strings, and LaTeX's own marks hold braces too."""
    table = Table("t", "T", pd.DataFrame([["a{b} §", "1"]], columns=["", "{0} § \\"]))
    assert "a\\{b\\} \\S{} & 1" in to_latex(table) and "& \\{0\\} \\S{} \\textbackslash{} \\\\" in to_latex(table)
    assert "a{b} §" in to_html(table) and "{0} § " in to_html(table)


def test_a_missing_number_is_a_dash_and_a_missing_interval_nothing() -> None:
    nan = float("nan")
    assert (number(nan), interval(0.5, nan, nan), tex("–")) == ("–", "0.500", "--")


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_every_table_is_written_twice_and_in_ascii_latex(name: str, results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    results = Results.open(tmp_path / "r")
    table = tables.TABLES[name](results)
    assert table.bold is None or table.bold.shape == table.text.shape
    assert to_latex(table).isascii()
    assert "nan" not in to_markdown(table)


def test_the_main_table_quotes_the_metrics(results: Results) -> None:
    table = tables.main_results(results)
    points = operating_points(results).set_index("policy")
    assert table.text.iloc[0, 0] == "DACR"
    assert column(table, "Quality [95 %]")["DACR"].startswith(f"{points['mean_quality']['dacr']:.3f} [")
    assert column(table, "Area")["DACR"] == f"{frontier_areas(results)['dacr']:.3f}"
    (best,) = bold(table, "Quality [95 %]")
    assert all(mark not in best for mark in ("clairvoyant", "full information", "†"))


def test_all_spend_the_same_or_stand_on_their_grid_or_are_marked(results: Results) -> None:
    points = operating_points(results).set_index("policy")
    budget = main_cost(results)
    metrics = results.table("metrics.csv")
    assert points.index[0] == "dacr"
    for policy, row in points.iterrows():
        part = metrics[metrics["policy"] == policy]
        if row["dearer"]:
            assert part["mean_cost"].min() > 1.1 * budget
        elif row["weight"] > 0:
            assert row["mean_cost"] == pytest.approx(budget)
            x, y = upper_hull(part["mean_cost"], part["mean_quality"])
            assert row["mean_quality"] == pytest.approx(np.interp(budget, x, y))
        else:
            assert row["mean_cost"] <= 1.1 * budget
            assert row["mean_quality"] == pytest.approx(
                part.loc[part["mean_cost"] <= 1.1 * budget, "mean_quality"].max()
            )
    assert points["weight"]["zero"] > 0
    assert points["weight"]["dacr_eq9"] == points["weight"]["my_plugin"] == points["weight"]["cheapest"] == 0


def test_a_mixture_is_the_hull_at_that_cost_by_hand() -> None:
    part = pd.DataFrame(
        {
            "policy": "zero",
            "setting": ["a", "b", "c"],
            "mean_cost": [1.0, 3.0, 2.0],
            "mean_quality": [0.2, 0.8, 0.3],
            "net": [0.2, 0.8, 0.3],
            "slo_violation_rate": [0.0, 0.4, 0.9],
            "p95_latency_s": [1.0, 2.0, 3.0],
        }
    )
    row = _mixture(part, 1.5).iloc[0]
    assert (row["setting"], row["second"], row["weight"]) == ("a", "b", 0.25)
    assert row["mean_quality"] == pytest.approx(0.35)
    assert row["slo_violation_rate"] == pytest.approx(0.1)
    assert np.isnan(row["p95_latency_s"])
    assert _mixture(part, 9.0).iloc[0]["setting"] == "b"
    assert bool(_mixture(part, 0.5).iloc[0]["dearer"])


def test_latency_quantiles_of_a_mixture_weigh_its_parts() -> None:
    decisions = pd.DataFrame(
        {"policy": "zero", "setting": ["a"] * 4 + ["b"] * 2, "latency_s": [1.0, 2.0, 3.0, 4.0, 10.0, np.nan]}
    )
    point = {"policy": "zero", "setting": "a", "second": "b", "weight": 0.5}
    assert latency_quantiles(decisions, point, np.array([0.125, 0.5, 0.51, 1.0])).tolist() == [1.0, 4.0, 10.0, 10.0]
    alone = {**point, "weight": 0.0}
    assert latency_quantiles(decisions, alone, np.array([0.5, 1.0])).tolist() == [2.0, 4.0]


def test_differences_are_those_of_the_means_and_inside_their_intervals(results: Results) -> None:
    made = compare(results)
    quality = made.points.set_index("policy")["mean_quality"]
    for row in made.differences.itertuples():
        assert row.difference == pytest.approx(quality[row.name] - quality["dacr"])
        assert row.low <= row.difference <= row.high
    assert compare(results) is made
    assert (made.points["quality_lo"] <= made.points["mean_quality"]).all()


def test_costs_are_fixed_by_single_models_alone_and_corrected_over_all(results: Results, tmp_path: Path) -> None:
    single = results.table("singles.csv")
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    cost = np.geomspace(0.8e-4, 1.6e-3, len(single))
    single.assign(mean_cost=cost).to_csv(folder / "singles.csv", index=False)
    fixed = Results.open(folder)
    np.testing.assert_allclose(fixed_costs(fixed), [2e-4, 4e-4, 8e-4, 1.6e-3])
    # Were every quality another, the costs would be the same.
    metrics = pd.read_csv(folder / "metrics.csv")
    metrics.assign(mean_quality=1 - metrics["mean_quality"]).to_csv(folder / "metrics.csv", index=False)
    assert main_cost(Results.open(folder)) == main_cost(fixed) == fixed_costs(fixed)[PLACES.index(0.5)]
    made = compare(fixed)
    assert made.everywhere["cost"].nunique() == 4 and len(made.everywhere) == 4 * 14
    np.testing.assert_allclose(made.everywhere["p_holm"], holm(made.everywhere["p"]))
    assert (made.differences["p_holm"] >= holm(made.differences["p"]) - 1e-12).all()
    table = tables.TABLES["equal_money"](fixed)
    assert table.text.columns[1:].tolist() == [
        "0.2 USD / 1,000",
        "0.4 USD / 1,000",
        "0.8 USD / 1,000",
        "1.6 USD / 1,000",
    ]


def test_a_router_that_cannot_save_is_compared_where_it_can_stand(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    metrics = pd.read_csv(folder / "metrics.csv")
    costs = fixed_costs(results)
    few = (metrics["policy"] != "dacr") | (metrics["mean_cost"] > 1.2 * costs[1])
    assert metrics[few & (metrics["policy"] == "dacr")]["mean_cost"].min() <= 1.1 * costs[2]
    metrics[few].to_csv(folder / "metrics.csv", index=False)
    dear = Results.open(folder)
    assert main_cost(dear) == costs[2]
    assert sorted(compare(dear).everywhere["cost"].unique()) == costs[2:].tolist()


def test_without_decisions_the_main_table_has_no_intervals_and_no_verdicts(
    results_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    (tmp_path / "r" / "decisions.parquet").unlink()
    results = Results.open(tmp_path / "r")
    with pytest.raises(Absent, match=r"decisions\.parquet"):
        compare(results)
    table = tables.main_results(results)
    assert "[" not in column(table, "Quality [95 %]")["DACR"]
    written = tables.write(results)
    rest = ["plans", "calibration", "budgets", "perfect_information"]
    assert written == ["main_results", "equal_quality", "in_time", "by_domain", *rest]


def test_many_domains_are_pooled_by_family(results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    table = pd.read_csv(results_folder / "metrics_by_domain.csv")
    wide = pd.concat([table.assign(domain=table["domain"] + f"-{i}") for i in range(6)])
    wide.to_csv(tmp_path / "r" / "metrics_by_domain.csv", index=False)
    made = tables.by_domain(Results.open(tmp_path / "r"))
    assert "by family of domains" in made.title
    assert made.text.columns[0] == "Router" and made.text.shape[1] == 1 + 4


def test_the_floor_of_the_calibration_error_is_below_what_is_measured(results: Results) -> None:
    table = tables.calibration(results)
    eces = results.table("calibration_ece.csv").set_index(["model", "calibrator", "domain"])
    own = eces.loc[("claude-v2", "platt", "all")]
    assert column(table, "platt")["claude-v2"] == f"{own['ece']:.3f} ({own['ece_null']:.3f})"
    values = table.text.iloc[:, 2:].map(lambda text: float(text.split(" ")[0]) if text[0].isdigit() else np.nan)
    assert table.bold is not None
    np.testing.assert_array_equal(table.bold[:, 2:], values.eq(values.min(axis=1), axis=0))


def test_metrics_say_whose_interval_is_over_orders_too(results_folder: Path, tmp_path: Path) -> None:
    """Registered or not: one run of what depends on the order has no interval, one run of anything else has."""
    folder = tmp_path / "r"
    shutil.copytree(results_folder, folder)
    decisions = pd.read_parquet(folder / "decisions.parquet")
    decisions[decisions["seed"] == 1].to_parquet(folder / "decisions.parquet", index=False)
    metrics = pd.read_csv(folder / "metrics.csv")
    metrics["order_matters"] |= metrics["policy"] == "knn"  # as behind queues
    metrics.to_csv(folder / "metrics.csv", index=False)
    points = compare(Results.open(folder)).points
    without = set(points.loc[points["quality_lo"].isna(), "policy"])
    assert without == {"dacr", "dacr_full", "dacr_eq9", "my_plugin", "knn"}


def test_fewer_runs_of_what_does_not_learn_are_averaged(results_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(results_folder, folder)
    decisions = pd.read_parquet(folder / "decisions.parquet")
    metrics = pd.read_csv(folder / "metrics.csv").set_index("policy")
    learns = decisions["policy"].isin(["dacr", "dacr_eq9", "dacr_full", "my_plugin"])
    more = [decisions[learns & (decisions["seed"] == 1)].assign(seed=seed) for seed in (4, 5)]
    pd.concat([decisions, *more]).to_parquet(folder / "decisions.parquet", index=False)
    made = compare(Results.open(folder))
    assert made.n_order == 5
    difference = made.differences.set_index("name")["difference"]
    assert difference["random"] == pytest.approx(metrics["mean_quality"]["random"] - _mean_of(folder, made))


def _mean_of(folder: Path, made: Comparison) -> float:
    decisions = pd.read_parquet(folder / "decisions.parquet")
    own = decisions[(decisions["policy"] == "dacr") & (decisions["setting"] == made.points["setting"].iloc[0])]
    return float(own["quality"].mean())


def test_the_mean_over_enforced_budgets_is_marked_where_a_budget_was_exceeded(results: Results) -> None:
    table = tables.main_results(results)
    assert table.text.columns[-1] == "Budgets"
    budgets = pd.read_csv(results.folder / "budgets.csv")
    by_name = column(table, "Budgets")
    over = (budgets["mean_cost"] > budgets["budget_cost"]).groupby(budgets["policy"]).any()
    mean = budgets[budgets["policy"] == "dacr"]["mean_quality"].mean()
    assert by_name["DACR"] == f"{mean:.3f}" + (" ‡" if over["dacr"] else "")
    assert ("‡" in by_name["DACR, original rules"]) == over["dacr_eq9"]
    assert by_name["kNN"] == "–"


def test_the_table_of_budgets_names_the_worst_router_and_says_what_was_shed(results: Results, tmp_path: Path) -> None:
    rows = [("dacr", 0.99, 0.0), ("dacr", 0.95, 0.0), ("static", 1.2, 0.01), ("static", 0.8, 0.03)]
    made = pd.DataFrame(rows, columns=["policy", "mean_cost", "shed_rate"])
    made = made.assign(seed=1, enforced=True, budget_cost=[1.0, 2.0] * 2, mean_quality=0.5, slo_violation_rate=0.0)
    made["mean_cost"] *= made["budget_cost"]
    for shed in (True, False):
        folder = tmp_path / str(shed)
        shutil.copytree(results.folder, folder)
        made.assign(shed_rate=made["shed_rate"] * shed).to_csv(folder / "budgets.csv", index=False)
        table = tables.budgets(Results(folder, results.manifest))
        assert ("Shed, %" in table.text.columns) == shed
        assert any(
            "spent 120.0 % of a budget, more than any other, and more than allowed" in note for note in table.notes
        )
        if shed:
            assert table.text["Shed, %"].tolist() == ["0.00", "2.00"]


def test_beliefs_of_learners_have_columns_of_their_own(results: Results, tmp_path: Path) -> None:
    table = results.table("calibration_ece.csv").assign(setting="")
    beliefs = [
        ("all", "dacr", "all", "online", "lambda_cost=5", 60, 0.03),
        ("all", "dacr", "all", "online", "lambda_cost=9", 60, 0.9),  # its beliefs about every model are not known
        ("all", "linucb", "all", "online", "lambda_cost=5", 60, 0.9),
        ("all", "dacr", "all", "online_counterfactual", "lambda_cost=5", 660, 0.07),
        ("all", "dacr", "all", "online_end", "lambda_cost=5", 660, 0.05),
    ]
    names = ["model", "calibrator", "domain", "stage", "setting", "n", "ece"]
    whole = pd.concat([table, pd.DataFrame(beliefs, columns=names)], ignore_index=True)
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    whole.to_csv(folder / "calibration_ece.csv", index=False)
    made = tables.calibration(Results(folder, results.manifest))
    learners = ["dacr called", "dacr before", "dacr after"]
    assert made.text.columns[-3:].tolist() == learners and "linucb" not in " ".join(made.text.columns)
    assert [column(made, name)["all models"] for name in learners] == ["0.030", "0.070", "0.050"]
    assert any("before each decision" in note for note in made.notes)


def test_an_exactly_named_domain_is_shown_by_its_name(results_folder: Path) -> None:
    shown = Results(results_folder, {"config": {"ood_holdout": ["=gsm", "mbpp"]}})
    assert shown.held_out == ["gsm", "mbpp"]
    assert shown.setting.startswith("unseen domains: gsm, mbpp")


def test_costs_at_equal_quality_by_hand(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    single = results.table("singles.csv").head(2)
    single.assign(mean_quality=[0.4, 0.8], mean_cost=[1e-3, 5e-3]).to_csv(folder / "singles.csv", index=False)
    metrics = results.table("metrics.csv")
    few = metrics[metrics["policy"].isin(["zero", "dacr"])].groupby("policy").head(2)
    points = {"zero": ([0.4, 0.9], [1e-3, 6e-3]), "dacr": ([0.4, 0.77], [1e-3, 3e-3])}
    for policy, (quality, cost) in points.items():
        few.loc[few["policy"] == policy, "mean_quality"] = quality
        few.loc[few["policy"] == policy, "mean_cost"] = cost
    few.to_csv(folder / "metrics.csv", index=False)
    table = tables.equal_quality(Results.open(folder))
    # 95 % of .8 is .76: nine tenths of the way between the single models, 1 + .9 x 4; a coin between zero's two
    # settings reaches it at 1 + .72 x 5, and dacr, which learns, at its second setting.
    assert column(table, "95 % (q = 0.760)") == {"hull of single models": "4.6", "DACR": "3", "zero router": "4.6"}
    assert column(table, "as good (q = 0.800)") == {"hull of single models": "5", "DACR": "–", "zero router": "5"}
    assert bold(table, "95 % (q = 0.760)") == ["DACR"] and bold(table, "as good (q = 0.800)") == ["zero router"]


def test_a_frontier_within_the_latency_limit_by_hand(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    costs = fixed_costs(results)
    few = results.table("metrics.csv").groupby("policy").head(3)
    few = few[few["policy"] == "zero"].assign(
        mean_quality=[0.4, 0.6, 0.9],
        mean_cost=[costs[0] / 2, costs[1], costs[1]],
        slo_violation_rate=[0.0, 0.05, 0.2],
    )
    few.to_csv(folder / "metrics.csv", index=False)
    table = tables.in_time(Results.open(folder))
    assert table.text.iloc[0, 1:].tolist() == ["0.400"] + ["0.600"] * (len(costs) - 1)  # the best one is too late
    few.assign(slo_violation_rate=0.2).to_csv(folder / "metrics.csv", index=False)
    with pytest.raises(Absent, match="95%"):
        tables.in_time(Results.open(folder))


def test_what_plans_do_is_a_table_where_there_are_plans(results: Results, tmp_path: Path) -> None:
    table = tables.plans(results)
    rows = results.table("plans.csv")
    assert len(table.text) == len(rows) and list(table.groups) == [len(rows) // 2]
    assert column(table, "Agreed, %")["gate(a, b > c), all"] == "75.0"
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    rows.assign(right_agreed=np.nan).to_csv(folder / "plans.csv", index=False)
    assert set(tables.plans(Results.open(folder)).text["Right, agreed"]) == {"–"}
    (folder / "plans.csv").unlink()
    with pytest.raises(Absent):
        tables.plans(Results.open(folder))
